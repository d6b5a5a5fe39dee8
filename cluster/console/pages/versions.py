"""Versions of an adapter: their line, and moving aliases with what that would lose."""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.errors import ConflictError, InputError
from cluster.console.known.snapshot import KnownAdapter
from cluster.console.shown.charts import tree
from cluster.console.shown.look import Act, Button, Done, Look, Page
from cluster.wire.facts import version_document
from cluster.wire.versions import PublishedTask, PublishedVersion
from workers.registry.documents.layout import HEAD, PRODUCTION

ON_A_PAGE = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class LostTask:
    """A task that a version has and another one has not.

    Attributes:
        task: Its name.
        classes: How many it has.
        accuracy: On its test images; None where it was not measured.
    """

    task: str
    classes: int
    accuracy: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Loss:
    """What is lost and won by serving another version.

    Attributes:
        lost: Tasks that are not answered any more.
        won: Tasks that are answered again.
        accuracies: Of the tasks that both have: before and after.
    """

    lost: tuple[LostTask, ...]
    won: tuple[LostTask, ...]
    accuracies: tuple[tuple[str, float | None, float | None], ...]

    @property
    def classes(self) -> int:
        """How many classes are not answered any more."""
        return sum(task.classes for task in self.lost)


def loss(before: PublishedVersion | None, after: PublishedVersion) -> Loss:
    """Return what is lost by serving `after` in place of `before`."""
    old = {task.task: task for task in before.tasks} if before else {}
    new = {task.task: task for task in after.tasks}
    return Loss(
        lost=tuple(_task(task) for name, task in old.items() if name not in new),
        won=tuple(_task(task) for name, task in new.items() if name not in old),
        accuracies=tuple(
            (name, old[name].accuracy, new[name].accuracy) for name in new if name in old
        ),
    )


def _task(task: PublishedTask) -> LostTask:
    return LostTask(task=task.task, classes=task.classes, accuracy=task.accuracy)


def versions(look: Look) -> Page:
    """Show the versions of an adapter, the newest first."""
    adapter = look.adapter()
    first = look.number("from")
    shown = _page(look, adapter, first)
    return Page(
        template="versions.html.j2",
        title=f"Versions of {adapter.name}",
        content={
            "adapter": adapter,
            "versions": shown,
            "publishers": _publishers(adapter),
            "nodes": tree(shown),
            "first": first,
            "step": ON_A_PAGE,
            "found": adapter.count,
            "may_roll_back": look.may("rollback", adapter.name),
        },
    )


def _page(look: Look, adapter: KnownAdapter, first: int) -> Sequence[PublishedVersion]:
    """Return the versions of a page: what is older than those that are known is read."""
    known = len(adapter.versions)
    if first + ON_A_PAGE <= known or adapter.count == known:
        return adapter.versions[first : first + ON_A_PAGE]
    before = adapter.versions[0].number + 1 - first
    read = look.sources.client.versions(adapter.name, limit=ON_A_PAGE, before=max(before, 0))
    return [version_document(version) for version in read]


def rollback(look: Look) -> Page:
    """Show what a rollback would lose, before anything is done."""
    adapter = look.adapter()
    wanted = look.version(adapter, look.named["version"])
    served = None if adapter.production is None else adapter.version(adapter.production)
    head = adapter.aliases.get(HEAD)
    return Page(
        template="rollback.html.j2",
        title=f"Roll {adapter.name} back to version {wanted.number}",
        content={
            "adapter": adapter,
            "wanted": wanted,
            "served": served,
            "head": head,
            "loss": loss(served, wanted),
            "may": look.may("rollback", adapter.name),
            "serving_only": look.asked("serving_only") == "yes",
            "why": look.asked("why"),
        },
    )


def roll_back(act: Act) -> Done:
    """Roll back, with a reason and the number that was typed."""
    look = act.look
    adapter = look.adapter()
    wanted = look.version(adapter, look.named["version"])
    _check_typed(act, wanted.number)
    _check_seen(act, adapter)
    before, serving_only = adapter.production, act.field("serving_only") == "yes"
    number = look.sources.client.rollback(
        wanted.number,
        adapter=adapter.name,
        serving_only=serving_only,
        by=look.requester,
        why=act.reason(),
    )
    undo = None
    if before is not None and before != number:
        undo = Button(
            label=f"Serve version {before} again…",
            path=f"/console/adapters/{adapter.name}/rollback/{before}",
        )
    said = f"Version {number} of {adapter.name} is in production"
    said += "; the next task builds on what it did before." if serving_only else " and is built on."
    if before is None:
        said = f"The next task builds on version {number} of {adapter.name}; nothing is served."
    return Done(said=said, onto=f"/console/adapters/{adapter.name}/versions", undo=undo)


def promotion(look: Look) -> Page:
    """Show what moving an alias to a version would change."""
    adapter = look.adapter()
    wanted = look.version(adapter, look.named["version"])
    served = None if adapter.production is None else adapter.version(adapter.production)
    return Page(
        template="promote.html.j2",
        title=f"Name version {wanted.number} of {adapter.name}",
        content={
            "adapter": adapter,
            "wanted": wanted,
            "served": served,
            "loss": loss(served, wanted),
            "may": look.may("promote", adapter.name),
            "alias": look.asked("alias", PRODUCTION),
            "why": look.asked("why"),
        },
    )


def promote(act: Act) -> Done:
    """Move an alias to a version, with a reason; `production` with the number that was typed."""
    look = act.look
    adapter = look.adapter()
    wanted, alias = look.version(adapter, look.named["version"]), act.field("alias")
    client, by = look.sources.client, look.requester
    if alias == PRODUCTION:
        _check_typed(act, wanted.number)
        _check_seen(act, adapter)
        client.promote(wanted.number, adapter=adapter.name, by=by, why=act.reason())
    else:
        client.alias(alias, wanted.number, adapter=adapter.name, by=by, why=act.reason())
    said = f"{alias} of {adapter.name} is version {wanted.number} now."
    return Done(said=said, onto=f"/console/adapters/{adapter.name}/versions")


def _check_typed(act: Act, number: int) -> None:
    typed = act.field("typed")
    if typed != str(number):
        raise InputError(
            f"expected the number of the version, {number}, typed once more, found {typed[:20]!r}"
        )


def _check_seen(act: Act, adapter: KnownAdapter) -> None:
    """Raise ConflictError where what was shown is not what would be lost now."""
    now = act.look.sources.client.aliases(adapter.name).get(PRODUCTION, 0)
    if act.field("seen") != str(now):
        raise ConflictError(
            f"production of {adapter.name!r} has moved to {now or 'nothing'} since "
            "this page was shown; look at what would be lost now, and send it again",
            adapter=adapter.name,
        )


def _publishers(adapter: KnownAdapter) -> dict[int, tuple[str, str]]:
    """Return who has published each version, and by what."""
    return {move.published: (move.who, move.action) for move in adapter.moves if move.published}
