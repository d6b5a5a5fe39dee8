"""Search: tasks, versions, classes and submissions by a part of their names."""

from collections.abc import Sequence
from dataclasses import dataclass

from cluster.console.known.snapshot import KnownAdapter
from cluster.console.pages.data import task_rows
from cluster.console.shown.look import Look, Page

MOST = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """Something that was found.

    Attributes:
        kind: What it is.
        name: What it is called.
        where: What it belongs to.
        path: Where it is shown.
    """

    kind: str
    name: str
    where: str
    path: str


def search(look: Look) -> Page:
    """Show what has the words of the address in its name."""
    text = look.asked("q").strip().lower()
    hits = [*_versions(look, text), *_tasks(look, text), *_submissions(look, text)] if text else []
    if text:
        hits += _classes(look, text)
    return Page(
        template="search.html.j2",
        title="Search",
        content={"hits": hits[:MOST], "found": len(hits), "text": look.asked("q")},
    )


def _versions(look: Look, text: str) -> list[Hit]:
    found = [
        _version(adapter, version.number, version.aliases)
        for adapter in look.adapters
        for version in adapter.with_others()
        if text in (version.label.lower(), str(version.number), *version.aliases)
    ]
    # Those that are not known have their numbers alone.
    name, _, number = text.rpartition("@")
    asked = int(number) if number.isdecimal() and len(number) < 12 else 0
    return found + [
        _version(adapter, asked)
        for adapter in look.adapters
        if name in ("", adapter.name.lower())
        and 0 < asked <= adapter.count
        and adapter.find(asked) is None
    ]


def _version(adapter: KnownAdapter, number: int, aliases: Sequence[str] = ()) -> Hit:
    return Hit(
        kind="version",
        name=f"{adapter.name}@{number}",
        where=", ".join(aliases),
        path=f"/adapters/{adapter.name}/versions/{number}",
    )


def _tasks(look: Look, text: str) -> list[Hit]:
    return [
        Hit(
            kind="task",
            name=task.task,
            where=adapter.name,
            path=f"/submissions/{task.submission}",
        )
        for adapter in look.adapters
        for task in {t.task: t for v in reversed(adapter.with_others()) for t in v.tasks}.values()
        if text in task.task.lower()
    ]


def _submissions(look: Look, text: str) -> list[Hit]:
    return [
        Hit(
            kind="submission",
            name=state.ticket.submission_id,
            where=state.ticket.stage.value,
            path=f"/submissions/{state.ticket.submission_id}",
        )
        for state in look.known.queue.states
        if look.requester.sees(state.ticket.adapter) and text in state.ticket.submission_id.lower()
    ][:MOST]


def _classes(look: Look, text: str) -> list[Hit]:
    return [
        Hit(
            kind="class",
            name=name,
            where=f"{row.adapter}, {row.task}",
            path=f"/submissions/{row.submission}",
        )
        for row in task_rows(look)
        for name in row.classes
        if text in name.lower()
    ]
