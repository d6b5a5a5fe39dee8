"""Dropping a task from an adapter: a version of `head` without it.

Later tasks were trained in the presence of a dropped task: their records do not contain its images
or classes, but would have been slightly different without it. A state that they share is another
matter: it has learnt from the task's images. Then the version without the task is the one on which
the task was learnt, and tasks that came after it are left out too, to be learnt again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from adapters.contract.counts import agreeing
from adapters.errors import InputError
from workers.registry.adapter import RegisteredAdapter
from workers.registry.commit import Commit, DropTask, SetShared
from workers.registry.documents.history import Action, Author
from workers.registry.documents.layout import HEAD, PRODUCTION
from workers.registry.documents.lineage import learnt_from, lineages_of, records_of
from workers.registry.documents.manifest import Manifest, TaskRef
from workers.registry.documents.purged import purged_versions
from workers.registry.documents.refs import Refs
from workers.registry.objects import StoredPayload
from workers.registry.reach import published_versions
from workers.registry.requirements import HeadIs

LearnAgain = Callable[[tuple[TaskRef, ...]], None]
"""Raises an error unless tasks can be learnt again."""


def drop(
    adapter: RegisteredAdapter,
    task: str,
    *,
    by: Author,
    promoted: bool = False,
    learn_again: LearnAgain | None = None,
) -> Manifest:
    """Publish a version of `head` without `task`; `promoted` moves `production` to it as well.

    The record stays in the older versions, which can still be served.

    Args:
        adapter: The adapter.
        task: The task's name.
        by: Who does it, why and when.
        promoted: Whether `production` points to the new version, too. It stays where it is while
            there is nothing to serve until the tasks that are left out are learnt again.
        learn_again: Says whether tasks can be learnt again that have to be left out with it, which
            `left_out_with` names afterwards; None where they must not be left out.

    Raises:
        NotFoundError: `head` has no such task.
        InputError: tasks that were learnt after it share a state that has learnt from it; or
            no task is left to be promoted, and none is learnt again.
        ConflictError: `head` has moved meanwhile.
    """
    refs = adapter.refs()
    aliases = (HEAD, PRODUCTION) if promoted else (HEAD,)
    without = _without(adapter, refs, task)
    if without is None:
        commit = Commit(updates=(DropTask(task=task),), aliases=aliases, action=Action.DROP)
        return adapter.commit(commit, by=by)
    if without.left_out and learn_again is None:
        raise _shared_with_later(adapter, without, task)
    if learn_again is not None:
        learn_again(without.left_out)
        if without.left_out and not without.kept:
            aliases = (HEAD,)
    return adapter.commit(_commit(adapter, without, task, aliases), by=by)


def left_out_with(adapter: RegisteredAdapter, manifest: Manifest, task: str) -> tuple[TaskRef, ...]:
    """Return the tasks that a version without `task` lacks besides, in the order of learning."""
    if manifest.parent is None:
        return ()
    before = adapter.objects.manifest(manifest.parent.manifest)
    kept = records_of(manifest)
    return tuple(
        each for each in before.tasks if each.record.sha256 not in kept and each.task != task
    )


def latest_drop(adapter: RegisteredAdapter, task: str) -> Manifest | None:
    """Return the latest version that `head` builds on and that was published without `task`.

    None where `task` was learnt since, or none has lacked it from one version to the next.
    """
    head = adapter.refs().find(HEAD)
    manifest = adapter.objects.manifest(head.manifest) if head else None
    while manifest is not None and manifest.parent is not None:
        before = adapter.objects.manifest(manifest.parent.manifest)
        if any(each.task == task for each in manifest.tasks):
            return None
        grown = records_of(manifest) - records_of(before)
        if not grown and any(each.task == task for each in before.tasks):
            return manifest
        manifest = before
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Without:
    """What `head` becomes without a task from which its shared state has learnt.

    Attributes:
        head: The version that it is now.
        base: The latest one before it that has learnt from nothing but what it keeps; None where
            there is none.
        left_out: The tasks that `head` has besides, but the dropped one, in the order of learning.
    """

    head: Manifest
    base: Manifest | None
    left_out: tuple[TaskRef, ...]

    @property
    def kept(self) -> frozenset[str]:
        """The digests of the records that stay."""
        return records_of(self.base) if self.base else frozenset()


def _without(adapter: RegisteredAdapter, refs: Refs, task: str) -> _Without | None:
    """Return what `head` becomes without `task`; None where no shared state has learnt from it."""
    found = refs.find(HEAD)
    head = adapter.objects.manifest(found.manifest) if found else None
    if head is None or head.shared is None:
        return None
    versions = list(published_versions(adapter, refs))
    lineages = lineages_of(versions)
    unwanted = {
        each.record.sha256 for version in versions for each in version.tasks if each.task == task
    }
    if learnt_from(head, lineages).isdisjoint(unwanted):
        return None
    wanted = records_of(head) - unwanted
    buried = purged_versions(adapter.tombstones(refs))
    bases = (
        version
        for version in _ancestors(adapter, head)
        if records_of(version) | learnt_from(version, lineages) <= wanted
        and version.number not in buried
    )
    base = next(bases, None)
    kept = records_of(base) if base else frozenset()
    left_out = tuple(
        each for each in head.tasks if each.record.sha256 not in kept and each.task != task
    )
    return _Without(head=head, base=base, left_out=left_out)


def _ancestors(adapter: RegisteredAdapter, manifest: Manifest) -> Iterator[Manifest]:
    while manifest.parent is not None:
        manifest = adapter.objects.manifest(manifest.parent.manifest)
        yield manifest


def _commit(
    adapter: RegisteredAdapter, without: _Without, task: str, aliases: tuple[str, ...]
) -> Commit:
    base, tasks = without.base, without.head.tasks
    going = [each.task for each in tasks if each.record.sha256 not in without.kept]
    shared = base.shared if base else None
    return Commit(
        updates=(
            # The history names them in this order.
            *(DropTask(task=name) for name in sorted(going, key=lambda name: name != task)),
            SetShared(state=StoredPayload(adapter.objects, shared) if shared else None),
        ),
        requirements=(HeadIs(without.head.number),),
        settings=base.settings if base else None,
        accuracies=adapter.accuracies(base.number) if base else (),
        answers=adapter.answer_sheet(base.number) if base else None,
        aliases=aliases,
        action=Action.DROP,
    )


def _shared_with_later(adapter: RegisteredAdapter, without: _Without, task: str) -> InputError:
    later = ", ".join(repr(each.task) for each in without.left_out)
    base = without.base
    back = f"; or go back to before it (`nacre rollback {base.number}`)" if base else ""
    return InputError(
        f"the state that the tasks of adapter {adapter.name!r} share has learnt from {task!r}, and "
        f"{later} {agreeing(len(without.left_out), 'was')} learnt on it afterwards, so that "
        f"{task!r} cannot be dropped alone: `nacre drop {task} --relearn` leaves out what was "
        f"learnt afterwards and submits it again{back}",
        task=task,
        adapter=adapter.name,
        left_out=tuple(each.task for each in without.left_out),
    )
