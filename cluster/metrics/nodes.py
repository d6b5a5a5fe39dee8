"""Nodes: what Ray's agents have of nacre's metrics, of all nodes together.

Ray's agent on each node adds up what the processes there have counted, also those that have died
since. So whichever replica reads it reads the same.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import httpx
import ray
from prometheus_client.parser import text_string_to_metric_families

from adapters.errors import UnavailableError
from cluster.metrics.exposition import Shown, exposition
from workers.metrics import Family, Kind
from workers.metrics.families import FAMILIES

RAYS = "ray_"
"""What Ray puts before all names."""
SUFFIXES = ("_bucket", "_count", "_sum")
TIMEOUT_S = 2.0
NAMES: Mapping[str, Family] = {
    name: family
    for family in FAMILIES
    for name in (
        [f"{family.name}{suffix}" for suffix in SUFFIXES]
        if family.kind is Kind.HISTOGRAM
        else [family.name]
    )
}
"""The families by the names of their samples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """What the agent of a node shows.

    Attributes:
        node: Address of the agent's page.
        text: The page; None where it does not answer.
    """

    node: str
    text: str | None


async def system_metrics() -> bytes:
    """Return what all processes of the Ray of this process have counted, as text.

    Raises:
        UnavailableError: no agent answers.
    """
    nodes = await asyncio.to_thread(_nodes)
    async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
        pages = await asyncio.gather(*(_page(client, node) for node in nodes))
    if all(page.text is None for page in pages):
        raise UnavailableError(
            f"expected an answer of Ray's agent on {', '.join(nodes) or 'a node'}, found none; "
            "what is counted is not lost: ask again"
        )
    return await asyncio.to_thread(lambda: exposition(merged(pages)))


def merged(pages: Iterable[Page]) -> list[Shown]:
    """Return the samples of all pages: what the processes of a node have counted, added up.

    Of a gauge that several processes set, as one and its successor do for a moment, the largest
    counts.
    """
    found: dict[tuple[str, tuple[tuple[str, str], ...]], Shown] = {}
    for page in pages:
        for name, family, labels, value in _samples(page.text or ""):
            kept = {key: labels[key] for key in (*family.labels, "le") if key in labels}
            kept["node"] = page.node
            key = name, tuple(kept.items())
            before = found.get(key)
            if before is not None:
                is_gauge = family.kind is Kind.GAUGE
                both = max(value, before.value) if is_gauge else value + before.value
                found[key] = replace(before, value=both)
            else:
                found[key] = Shown(family=family, name=name, labels=kept, value=value)
    return list(found.values())


def _samples(text: str) -> Iterator[tuple[str, Family, Mapping[str, str], float]]:
    ours = "".join(f"{line}\n" for line in text.splitlines() if line.startswith(f"{RAYS}nacre_"))
    for parsed in text_string_to_metric_families(ours):
        for sample in parsed.samples:
            name = own_name(sample.name)
            family = NAMES.get(name)
            if family is not None:
                yield name, family, sample.labels, sample.value


def own_name(name: str) -> str:
    """Return the name of a sample without what Ray has put before and behind it."""
    own, counted = name.removeprefix(RAYS), name.removesuffix("_total")
    return own.removesuffix("_total") if counted.endswith(SUFFIXES) else own


def _nodes() -> list[str]:
    """Return where the agents of the nodes answer that are there."""
    return [
        f"{node['NodeManagerAddress']}:{node['MetricsExportPort']}"
        for node in ray.nodes()
        if node["Alive"] and node["MetricsExportPort"] > 0
    ]


async def _page(client: httpx.AsyncClient, node: str) -> Page:
    try:
        answer = await client.get(f"http://{node}/metrics")
        answer.raise_for_status()
    except httpx.HTTPError:
        return Page(node=node, text=None)
    return Page(node=node, text=answer.text)
