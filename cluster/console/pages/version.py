"""Version: what one holds and where it came from, and how accurate all of them are."""

from collections.abc import Mapping, Sequence

from cluster.console.known.snapshot import KnownAdapter
from cluster.console.shown.charts import Curve, curves
from cluster.console.shown.look import Look, Page
from cluster.wire.facts import shown_document
from cluster.wire.versions import PublishedVersion

MOST_ROWS = 60
NEAR = 20
"""Of the versions behind an old one, so many are looked at for those that were made of it."""
MEAN = "mean"


def version(look: Look) -> Page:
    """Show one version."""
    adapter = look.adapter()
    found = look.version(adapter, look.named["version"])
    shown = shown_document(look.sources.client.show(found.number, adapter=adapter.name))
    entry = next((move for move in adapter.moves if move.published == found.number), None)
    state = (look.known.answering or {}).get(adapter.name)
    return Page(
        template="version.html.j2",
        title=shown.label,
        content={
            "adapter": adapter,
            "version": shown,
            "entry": entry,
            "served": state is not None and state.version == shown.label,
            "children": _children(look, adapter, found.number),
            "may_roll_back": look.may("rollback", adapter.name),
        },
    )


def _children(look: Look, adapter: KnownAdapter, number: int) -> list[int]:
    """Return the versions that were made of one, the newest first.

    They are found among those that are known, and those of an old one also among the next ones.
    """
    found = {each.number for each in adapter.with_others() if each.parent == number}
    if number < adapter.versions[-1].number:
        near = look.sources.client.versions(adapter.name, limit=NEAR, before=number + NEAR + 1)
        manifests = (version.manifest for version in near)
        found |= {each.number for each in manifests if each.parent and each.parent.number == number}
    return sorted(found, reverse=True)


def matrix(look: Look) -> Page:
    """Show the accuracy of each version on each task."""
    adapter = look.adapter()
    found = list(reversed(adapter.versions[:MOST_ROWS]))
    tasks = list(dict.fromkeys(task for version in found for task in version.accuracies))
    return Page(
        template="matrix.html.j2",
        title=f"Accuracy of {adapter.name}",
        content={
            "adapter": adapter,
            "tasks": tasks,
            "rows": [(version, _row(version, tasks), learnt_with(version)) for version in found],
            "older": adapter.count - len(found),
            "lines": _lines(found, tasks),
            "steps": [version.number for version in found],
            "forgetting": _forgetting(found, adapter, tasks),
        },
    )


def learnt_with(version: PublishedVersion) -> str:
    """Return the task that came with a version; empty where none did."""
    return version.tasks[-1].task if version.tasks else ""


def _row(version: PublishedVersion, tasks: Sequence[str]) -> list[float | None]:
    return [version.accuracies.get(task) for task in tasks]


def _lines(found: Sequence[PublishedVersion], tasks: Sequence[str]) -> list[Curve]:
    shown: Mapping[str, list[float | None]] = {MEAN: [version.mean_accuracy for version in found]}
    few = tasks[-5:]
    return curves(
        {**shown, **{task: [version.accuracies.get(task) for version in found] for task in few}}
    )


def _forgetting(
    found: Sequence[PublishedVersion], adapter: KnownAdapter, tasks: Sequence[str]
) -> list[tuple[str, float, float]]:
    """Return, of each task of the version that is served, its best accuracy and that of now."""
    if adapter.production is None:
        return []
    now = adapter.version(adapter.production).accuracies
    lost = []
    for task in tasks:
        known = [value for v in found if (value := v.accuracies.get(task)) is not None]
        if task in now and known:
            lost.append((task, max(known), now[task]))
    return lost
