"""Relearning in the client: tasks that go with another one, dropped or purged, are learnt again."""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.errors import NotFoundError
from workers import registry
from workers.housekeeping.leftovers import purged_of
from workers.intake.relearning import check_relearnable, submit_again
from workers.registry import Author, Holding, Manifest, RegisteredAdapter, TaskRef


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """What became of a task that was dropped.

    Attributes:
        manifest: Of the version without it.
        relearnt: The submissions of later tasks that are learnt again.
    """

    manifest: Manifest
    relearnt: tuple[str, ...] = ()


def dropped_and_relearnt(
    adapter: RegisteredAdapter, task: str, *, by: Author, promoted: bool
) -> Dropped:
    """Drop a task, and submit again what has to be left out with it; see `AliasVerbs.drop`.

    Where it was dropped already, what was left out then and is neither in `head` nor on its way is
    submitted again: whoever was broken off between the two goes on like this.
    """

    def check(tasks: Sequence[TaskRef]) -> None:
        check_relearnable(
            adapter.objects.store, tasks, adapter=adapter.name, purged=purged_of(adapter)
        )

    try:
        manifest = registry.drop(adapter, task, by=by, promoted=promoted, learn_again=check)
    except NotFoundError:
        before = registry.latest_drop(adapter, task)
        if before is None or not registry.left_out_with(adapter, before, task):
            raise
        manifest = before
    tasks = registry.left_out_with(adapter, manifest, task)
    if manifest.parent is None or not tasks:
        return Dropped(manifest=manifest)
    held_by = adapter.objects.manifest(manifest.parent.manifest)
    again = submit_again(adapter, tasks, before=held_by, author=by.who, now=by.now)
    return Dropped(manifest=manifest, relearnt=again)


def check_others(adapter: RegisteredAdapter, holding: Holding) -> None:
    """Raise InputError where a task that would go with a purged one cannot be learnt again."""
    check_relearnable(
        adapter.objects.store, holding.others, adapter=adapter.name, purged=purged_of(adapter)
    )


def others_relearnt(adapter: RegisteredAdapter, holding: Holding, *, by: Author) -> tuple[str, ...]:
    """Submit again the tasks that have gone with a purged one, and return their submissions.

    What somebody has purged meanwhile is none of them.
    """
    newest, purged = adapter.manifest(holding.versions[-1]), purged_of(adapter)
    others = tuple(task for task in holding.others if task.submission not in purged)
    return submit_again(adapter, others, before=newest, author=by.who, now=by.now)
