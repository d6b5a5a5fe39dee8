"""Data: the tasks and classes of all adapters, the names that they share, and what was purged."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from adapters.errors import InputError, NacreError
from cluster.console.known.snapshot import KnownAdapter
from cluster.console.shown.look import Act, Done, Look, Page
from cluster.wire.versions import PublishedTask
from workers.registry import Action
from workers.registry.documents.layout import HEAD

MOST_SHARED = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRow:
    """One task of an adapter's head.

    Attributes:
        adapter: The adapter.
        task: Its name.
        submission: What it was learnt from.
        classes: The readable names of its classes, as far as its submission is there.
        count: How many classes it has.
        images: How many images it was submitted with; None where that is not known any more.
        size_bytes: Of its record.
        accuracy: On its test images; None where it was not measured.
    """

    adapter: str
    task: str
    submission: str
    classes: Sequence[str]
    count: int
    images: int | None
    size_bytes: int
    accuracy: float | None


def data(look: Look) -> Page:
    """Show the tasks of all adapters."""
    rows = task_rows(look)
    return Page(
        template="data.html.j2",
        title="Data",
        content={
            "rows": rows,
            "shared": _shared(rows)[:MOST_SHARED],
            "purged": sorted(
                {(adapter.name, task) for adapter in look.adapters for task in _purged(adapter)}
            ),
            "retention": look.sources.client.config.retention,
        },
    )


def _purged(adapter: KnownAdapter) -> Iterator[str]:
    """Yield the tasks that were purged, as far as versions and moves are known."""
    yield from (task for version in adapter.versions for task in version.purged)
    yield from (move.detail["task"] for move in adapter.moves if move.action == Action.PURGE.value)


def task_rows(look: Look) -> list[TaskRow]:
    """Return the tasks that the next task of each adapter builds on."""
    rows = []
    for adapter in look.adapters:
        head = adapter.aliases.get(HEAD, adapter.production)
        if head is not None:
            rows += [_row(look, adapter.name, task) for task in adapter.version(head).tasks]
    return rows


def _row(look: Look, adapter: str, task: PublishedTask) -> TaskRow:
    classes: Sequence[str] = ()
    images = None
    with suppress(NacreError):  # what was imported has no submission here
        made = look.sources.pictures.submission(task.submission)
        classes = [entry.name for entry in made.classes]
        images = made.images("train") + made.images("held_out")
    return TaskRow(
        adapter=adapter,
        task=task.task,
        submission=task.submission,
        classes=classes,
        count=task.classes,
        images=images,
        size_bytes=task.record.size,
        accuracy=task.accuracy,
    )


def _shared(rows: Sequence[TaskRow]) -> list[tuple[str, list[TaskRow]]]:
    named: dict[tuple[str, str], list[TaskRow]] = defaultdict(list)
    for row in rows:
        for name in dict.fromkeys(row.classes):
            named[row.adapter, name].append(row)
    return sorted((name, where) for (_, name), where in named.items() if len(where) > 1)


def removal(look: Look) -> Page:
    """Show what dropping or purging a task would take away."""
    adapter, name = look.adapter(), look.named["task"]
    row = next((r for r in task_rows(look) if (r.adapter, r.task) == (adapter.name, name)), None)
    if row is None:
        raise InputError(f"head of {adapter.name!r} has no task {name[:64]!r}")
    return Page(
        template="removal.html.j2",
        title=f"Drop or purge {name}",
        content={
            "adapter": adapter,
            "row": row,
            "versions": [v for v in adapter.versions if any(t.task == name for t in v.tasks)],
            "may_drop": look.may("drop", adapter.name),
            "may_purge": look.may("purge", adapter.name),
        },
    )


def remove(act: Act) -> Done:
    """Drop a task, or purge it, with a reason and its name typed."""
    look = act.look
    adapter, name = look.adapter(), look.named["task"]
    if act.field("typed") != name:
        raise InputError(f"expected the name of the task, {name!r}, typed once more")
    client, by, why = look.sources.client, look.requester, act.reason()
    if act.field("do") == "purge":
        client.purge(name, adapter=adapter.name, by=by, why=why)
        said = f"{name} is purged: what it left behind is gone for good."
    else:
        promoted = act.field("promoted") == "yes"
        dropped = client.drop(name, adapter=adapter.name, promoted=promoted, by=by, why=why)
        said = f"Version {dropped.manifest.number} of {adapter.name} is without {name}."
    return Done(said=said, onto="/console/data")
