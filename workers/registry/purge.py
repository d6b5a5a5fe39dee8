"""Purging: the bytes of a task removed from every version, for good.

What goes is its record, and every shared state that has learnt from it, whatever versions hold one
of these.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from adapters.errors import InputError, NotFoundError
from workers.formats.documents import next_count
from workers.registry.adapter import RegisteredAdapter
from workers.registry.documents.change import Change, Move, Settled
from workers.registry.documents.history import Action, Author
from workers.registry.documents.layout import Kind, Stored, answers_key, object_key
from workers.registry.documents.lineage import learnt_from, lineages_of
from workers.registry.documents.manifest import Manifest, TaskRef
from workers.registry.documents.purged import (
    Tombstone,
    purged_ids,
    purged_versions,
    tombstones_to_bytes,
    towers_of,
)
from workers.registry.documents.refs import Refs
from workers.registry.reach import published_versions
from workers.registry.reader import AdapterReader
from workers.store.base import is_there


@dataclass(frozen=True, kw_only=True, slots=True)
class Purged:
    """What a purge did.

    Attributes:
        versions: The versions that held the task, or a shared state that had learnt from it, and
            cannot be served any more.
        submissions: The submissions it was learnt from.
        keys: The objects that were removed.
        relearnt: The submissions of other tasks that are learnt again, where that was asked for.
    """

    versions: tuple[int, ...]
    submissions: tuple[str, ...]
    keys: tuple[str, ...]
    relearnt: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Holding:
    """Where a task is to be found.

    Attributes:
        submissions: The submissions it was learnt from.
        records: Its records.
        states: The shared states that have learnt from it.
        versions: The versions that hold one of these, oldest first.
        others: The other tasks of the newest of these that no version has which holds none of them,
            in the order of learning.
    """

    submissions: tuple[str, ...]
    records: frozenset[Stored]
    states: frozenset[Stored]
    versions: tuple[int, ...]
    others: tuple[TaskRef, ...]


def holding_of(reader: AdapterReader, refs: Refs, task: str) -> Holding:
    """Return where `task` is to be found, as of `refs`; nowhere where no version ever held it."""
    versions = list(published_versions(reader, refs))
    tasks = [held for manifest in versions for held in manifest.tasks if held.task == task]
    records = frozenset(held.record for held in tasks)
    digests, lineages = {record.sha256 for record in records}, lineages_of(versions)
    states = frozenset(
        manifest.shared
        for manifest in versions
        if manifest.shared and not learnt_from(manifest, lineages).isdisjoint(digests)
    )
    holding = [
        manifest
        for manifest in versions
        if manifest.shared in states or not records.isdisjoint(t.record for t in manifest.tasks)
    ]
    return Holding(
        submissions=tuple(sorted({held.submission for held in tasks})),
        records=records,
        states=states,
        versions=tuple(sorted(manifest.number for manifest in holding)),
        others=_others(reader, refs, versions, holding, task),
    )


def _others(
    reader: AdapterReader,
    refs: Refs,
    versions: Sequence[Manifest],
    holding: Sequence[Manifest],
    task: str,
) -> tuple[TaskRef, ...]:
    """Return the tasks of the newest version in `holding` that no version keeps.

    What was purged itself is none of them: nobody may learn it again.
    """
    stones = reader.tombstones(refs)
    gone = purged_versions(stones) | {manifest.number for manifest in holding}
    forgotten = purged_ids(stones)
    kept = {
        each.record.sha256
        for manifest in versions
        if manifest.number not in gone
        for each in manifest.tasks
    }
    newest = max(holding, key=lambda manifest: manifest.number, default=None)
    return tuple(
        each
        for each in (newest.tasks if newest else ())
        if each.record.sha256 not in kept and each.task != task and each.submission not in forgotten
    )


def purge(
    adapter: RegisteredAdapter,
    task: str,
    *,
    by: Author,
    also: Sequence[str] = (),
    submissions: Sequence[str] = (),
    towers: Collection[str] = (),
) -> Purged:
    """Remove the records of `task`, and all shared state that has learnt from it, for good.

    With them go the answer sheets of the versions that held one of these.

    The versions that held one of these keep their manifests and get a tombstone: they can be looked
    at but neither served nor restored. The purge takes effect in one instant, before any byte is
    removed; when it is interrupted, calling it again (or `gc`) removes the rest.

    Args:
        adapter: The adapter.
        task: The task's name.
        by: Who does it, why and when.
        also: Prefixes of other objects of the task to remove, such as its shards, features and
            checkpoints; no training may be using them.
        submissions: Those of the task besides the ones it was learnt from: what has failed, was
            cancelled or replaced by another generation holds the same images.
        towers: Fingerprints of the towers that the shared states have made, for the tombstone.

    Raises:
        InputError: An alias still points to a version that holds the task, or whose shared state
            has learnt from it.
        NotFoundError: No version has ever held it.
    """

    def decide(refs: Refs) -> Change[Tombstone] | Settled[Tombstone]:
        found = _tombstone(adapter, refs, task, by)
        named = tuple(sorted({*found.submissions, *submissions}))
        tombstone = replace(found, submissions=named, towers=tuple(sorted(towers)))
        _check_unaliased(adapter, refs, tombstone)
        stones = adapter.tombstones(refs)
        if _is_said(tombstone, stones):
            return Settled(result=tombstone)
        return _buried(adapter, refs, tombstone)

    tombstone = adapter.writer.change(decide)
    return Purged(
        versions=tombstone.versions,
        submissions=tombstone.submissions,
        keys=(
            *_remove(adapter, tombstone.records, also),
            *_remove_sheets(adapter, tombstone.versions),
        ),
    )


def _is_said(tombstone: Tombstone, stones: Collection[Tombstone]) -> bool:
    """Say whether `stones` name everything already that `tombstone` does."""
    records = {record for stone in stones for record in stone.records}
    return (
        records.issuperset(tombstone.records)
        and purged_ids(stones).issuperset(tombstone.submissions)
        and towers_of(tombstone.task, stones).issuperset(tombstone.towers)
    )


def _buried(adapter: RegisteredAdapter, refs: Refs, tombstone: Tombstone) -> Change[Tombstone]:
    stones = (*adapter.tombstones(refs), tombstone)
    data = tombstones_to_bytes(stones)
    stored = adapter.objects.write(Kind.TOMBSTONES, data, area=refs.area)
    # The next area keeps a record with the very same bytes, learnt again later, out of reach.
    area = next_count(refs.area, f"the area of adapter {adapter.name!r}")
    after = replace(refs, tombstones=stored, area=area)
    detail = {"task": tombstone.task, "versions": ", ".join(map(str, tombstone.versions))}
    move = Move(action=Action.PURGE, author=tombstone.author, detail=detail)
    return Change(refs=after, move=move, result=tombstone)


def _tombstone(adapter: RegisteredAdapter, refs: Refs, task: str, by: Author) -> Tombstone:
    holding = holding_of(adapter, refs, task)
    if not holding.versions:
        raise NotFoundError(
            f"no version of {adapter.name!r} has ever held task {task!r}", task=task
        )
    return Tombstone(
        task=task,
        submissions=holding.submissions,
        records=tuple(sorted(holding.records | holding.states, key=lambda blob: blob.sha256)),
        versions=holding.versions,
        author=by,
    )


def _check_unaliased(adapter: RegisteredAdapter, refs: Refs, tombstone: Tombstone) -> None:
    held = {name: ref for name, ref in refs.aliases.items() if ref.number in tombstone.versions}
    if not held:
        return
    task = tombstone.task
    aliases = ", ".join(f"{name} (version {held[name].number})" for name in sorted(held))
    manifests = (adapter.objects.manifest(ref.manifest) for ref in held.values())
    if any(each.task == task for manifest in manifests for each in manifest.tasks):
        why, verb = f"task {task!r} is still in {aliases}", f"nacre drop {task}"
    else:
        why = f"the state that tasks share in {aliases} has learnt from {task!r}"
        verb = f"nacre drop {task} --relearn"
    move = "move this alias" if len(held) == 1 else "move these aliases"
    raise InputError(
        f"{why}: {move} to a version without it (`nacre versions`, `nacre promote`); where there "
        f"is none, `{verb}` makes one, and `nacre alias NAME --remove` takes an alias away",
        task=task,
        aliases=tuple(sorted(held)),
    )


def _remove(
    adapter: RegisteredAdapter, records: Iterable[Stored], also: Iterable[str]
) -> Iterator[str]:
    store, cache = adapter.objects.store, adapter.objects.cache
    for record in records:
        key = object_key(adapter.name, Kind.RECORD, record)
        there = is_there(store, key)
        store.delete(key)  # whatever the store says of it
        if cache is not None:
            cache.discard(record.sha256)
        if there:
            yield key
    for prefix in also:
        for listed in store.list(prefix):
            store.delete(listed.key)
            yield listed.key


def _remove_sheets(adapter: RegisteredAdapter, versions: Sequence[int]) -> Iterator[str]:
    """Remove the answer sheets of `versions`; those that there are lie in few folders."""
    keys = {answers_key(adapter.name, adapter.version(number).manifest) for number in versions}
    for folder in sorted({key.rpartition("/")[0] for key in keys}):
        for listed in adapter.objects.store.list(f"{folder}/"):
            if listed.key in keys:
                adapter.objects.store.delete(listed.key)
                yield listed.key
