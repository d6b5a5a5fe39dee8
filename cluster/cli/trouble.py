"""Trouble of the whole system, for people and machines: what is wrong, and for how long.

It is put together of what others record: the store says who coordinates and what replicas have
refused, the replica that answers says the rest. Nothing here asks Ray.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from adapters.errors import NacreError
from cluster.cli.running import Running, find_running
from cluster.config import Config
from workers.registry.documents.layout import PRODUCTION

if TYPE_CHECKING:
    from cluster.client.road import AnyClient
    from cluster.wire.health import AdapterState, Status, Trouble
    from cluster.wire.tasks import TaskList
    from cluster.wire.versions import HistoryEntry, ServedBehind

ASKED_S = 5.0
"""How long the HTTP API may take to say how it is, in seconds."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wrong:
    """Something that is not as it should be.

    Attributes:
        what: Which part of the system.
        reason: A sentence.
        for_s: For how long, in seconds; None where nobody knows.
        tries: How often it was tried in vain; None where nobody counts.
    """

    what: str
    reason: str
    for_s: float | None = None
    tries: int | None = None

    def __str__(self) -> str:
        since = [] if self.for_s is None else [f"for {duration(self.for_s)}"]
        tried = [f"tried {self.tries} times"] if self.tries and self.tries > 1 else []
        facts = ", ".join(since + tried)
        return f"{self.what}: {self.reason}" + (f" ({facts})" if facts else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """What the HTTP API has said of itself.

    Attributes:
        status: Its answer; None where it gave none.
        error: Why not.
    """

    status: "Status | None" = None
    error: NacreError | None = None


def asked(client: "AnyClient") -> Service:
    """Ask the HTTP API how it is."""
    from cluster.client.http_api import HttpApi
    from cluster.client.remote.questions import standing

    address = client.address
    try:
        api = HttpApi(address.url, token=address.token, is_here=address.is_here)
        try:
            return Service(status=api.ask(standing(), timeout_s=ASKED_S))
        finally:
            api.close()
    except NacreError as error:
        return Service(error=error)


def running_here(config: Config) -> Running | None:
    """Return the `nacre up` of this home folder, where it is that of `config`."""
    running = find_running()
    return running if running and running.endpoint == config.endpoint else None


def all_wrong(
    queue: "TaskList",
    service: Service | None,
    *,
    behind: Sequence["ServedBehind"] = (),
    running: Running | None,
    now: float | None = None,
) -> list[Wrong]:
    """Return everything that is wrong; nothing where all is well or nothing runs.

    Args:
        queue: As it is stored.
        service: What the HTTP API says; None where it was not asked.
        behind: The adapters of which nothing or an older version answers.
        running: The system of this home folder, which should answer and coordinate.
        now: Seconds since the epoch.
    """
    now = time.time() if now is None else now
    status = service.status if service else None
    found = list(wrong_of(status)) if status else []
    if running is not None and service is not None and service.error is not None:
        reason = f"{service.error.message}, though process {running.pid} runs here"
        found.append(Wrong(what="the API", reason=reason))
    known = status is not None and status.coordinator is not None
    if running is not None and not known and not queue.coordinated:
        # What an odd clock wrote says nothing of since when.
        expires = queue.coordinator.expires if queue.coordinator else inf
        since = expires if expires <= now else running.started
        reason = f"nobody coordinates, though process {running.pid} runs here"
        found.append(Wrong(what="the coordinator", reason=reason, for_s=max(0.0, now - since)))
    found += [_refused(entry, now) for entry in queue.refusals]
    gone = ((each.adapter, each.removed) for each in behind)
    return found + [_removed(name, entry, now) for name, entry in gone if entry is not None]


def duration(seconds: float) -> str:
    """Return a time as people say it: 12 s, 3 min, 5 h, 2 days."""
    for unit, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"


def wrong_of(status: "Status") -> Iterator[Wrong]:
    """Yield what a replica says is wrong, with itself and around it."""
    coordinator = status.coordinator
    # That another system coordinates is no trouble, and nothing was tried in vain.
    if coordinator is not None and coordinator.tries:
        yield _told("the coordinator", coordinator)
    if status.embedding is not None:
        yield Wrong(what="the replica", reason=status.embedding.reason)
    for name, trouble in status.deployments.items():
        yield _told(name, trouble)
    for name, state in status.adapters.items():
        yield from _of_adapter(name, state)


def _of_adapter(name: str, state: "AdapterState") -> Iterator[Wrong]:
    if state.trouble is not None:
        yield _told(f"following {name}", state.trouble)
    elif state.refused:
        reason = f"{state.refused} is not served: {state.reason}"
        yield Wrong(what=f"adapter {name}", reason=reason, for_s=state.seen_s)
    elif state.stale:
        reason = "whether `production` has moved is not known"
        yield Wrong(what=f"adapter {name}", reason=reason, for_s=state.seen_s)


def _told(what: str, trouble: "Trouble") -> Wrong:
    return Wrong(what=what, reason=trouble.reason, for_s=trouble.for_s, tries=trouble.tries)


def _removed(adapter: str, entry: "HistoryEntry", now: float) -> Wrong:
    before = entry.moves[PRODUCTION]["from"]
    why = f" ({entry.why})" if entry.why else ""
    return Wrong(
        what=f"adapter {adapter}",
        reason=f"{entry.who} has removed `production`{why}: replicas answer with version "
        f"{before} until they start again, and with nothing then; `nacre promote head --adapter "
        f"{adapter}` serves the version that the next task builds on",
        for_s=max(0.0, now - entry.when),
    )


def _refused(entry: "HistoryEntry", now: float) -> Wrong:
    return Wrong(
        what=f"version {entry.detail['version']}",
        reason=f"it is not served: {entry.who} could not load it ({entry.why}); "
        "`nacre verify` looks for damage, `nacre rollback` serves another version",
        for_s=max(0.0, now - entry.when),
    )
