"""Dropping a task from an adapter, and purging its bytes for good.

Later tasks were trained in the presence of a dropped task: their records do not contain its
images or classes, but would have been slightly different without it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from adapters.errors import InputError, NotFoundError
from workers.formats.documents import next_count
from workers.registry.adapter import RegisteredAdapter
from workers.registry.change import Change, Move, Settled
from workers.registry.commit import Commit, DropTask
from workers.registry.documents.history import Action, Author
from workers.registry.documents.layout import HEAD, PRODUCTION, Kind, Stored, object_key
from workers.registry.documents.manifest import Manifest
from workers.registry.documents.purged import Tombstone, tombstones_to_bytes
from workers.registry.documents.refs import Refs
from workers.registry.reach import published_versions


@dataclass(frozen=True, kw_only=True, slots=True)
class Purged:
    """What a purge did.

    Attributes:
        versions: The versions that held the task and cannot be served any more.
        submissions: The submissions it was learnt from.
        keys: The objects that were removed.
    """

    versions: tuple[int, ...]
    submissions: tuple[str, ...]
    keys: tuple[str, ...]


def drop(adapter: RegisteredAdapter, task: str, *, by: Author, promoted: bool = False) -> Manifest:
    """Publish a version of `head` without `task`; `promoted` moves `production` to it as well.

    The record stays in the older versions, which can still be served.

    Raises:
        NotFoundError: `head` has no such task.
    """
    aliases = (HEAD, PRODUCTION) if promoted else (HEAD,)
    commit = Commit(updates=(DropTask(task=task),), aliases=aliases, action=Action.DROP)
    return adapter.commit(commit, by=by)


def purge(adapter: RegisteredAdapter, task: str, *, by: Author, also: Sequence[str] = ()) -> Purged:
    """Remove the records of `task` from every version, for good.

    The versions that held it keep their manifests and get a tombstone: they can be looked at but
    neither served nor restored. The purge takes effect in one instant, before any byte is
    removed; when it is interrupted, calling it again (or `gc`) removes the rest.

    Args:
        adapter: The adapter.
        task: The task's name.
        by: Who does it, why and when.
        also: Prefixes of other objects of the task to remove, such as its shards, features and
            checkpoints; no training may be using them.

    Raises:
        InputError: An alias still points to a version that holds the task.
        NotFoundError: No version has ever held it.
    """

    def decide(refs: Refs) -> Change[Tombstone] | Settled[Tombstone]:
        tombstone = _tombstone(adapter, refs, task, by)
        _check_unaliased(refs, tombstone)
        buried = {record for stone in adapter.tombstones(refs) for record in stone.records}
        if buried.issuperset(tombstone.records):
            return Settled(result=tombstone)
        return _buried(adapter, refs, tombstone)

    tombstone = adapter.writer.change(decide)
    return Purged(
        versions=tombstone.versions,
        submissions=tombstone.submissions,
        keys=tuple(_remove(adapter, tombstone.records, also)),
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
    versions = list(published_versions(adapter, refs))
    found = [held for manifest in versions for held in manifest.tasks if held.task == task]
    if not found:
        raise NotFoundError(
            f"no version of {adapter.name!r} has ever held task {task!r}", task=task
        )
    records = {held.record for held in found}
    return Tombstone(
        task=task,
        submissions=tuple(sorted({held.submission for held in found})),
        records=tuple(sorted(records, key=lambda record: record.sha256)),
        versions=tuple(
            sorted(
                manifest.number
                for manifest in versions
                if any(held.record in records for held in manifest.tasks)
            )
        ),
        author=by,
    )


def _check_unaliased(refs: Refs, tombstone: Tombstone) -> None:
    held = {name: ref for name, ref in refs.aliases.items() if ref.number in tombstone.versions}
    if held:
        raise InputError(
            f"task {tombstone.task!r} is still in the versions of {', '.join(sorted(held))}: move "
            "these aliases to a version without it; where there is none, `nacre drop` makes one",
            task=tombstone.task,
            aliases=tuple(sorted(held)),
        )


def _remove(
    adapter: RegisteredAdapter, records: Iterable[Stored], also: Iterable[str]
) -> Iterator[str]:
    store, cache = adapter.objects.store, adapter.objects.cache
    for record in records:
        key = object_key(adapter.name, Kind.RECORD, record)
        store.delete(key)
        if cache is not None:
            cache.discard(record.sha256)
        yield key
    for prefix in also:
        for listed in store.list(prefix):
            store.delete(listed.key)
            yield listed.key
