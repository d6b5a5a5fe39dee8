"""Garbage collection: objects that no version leads to, left by lost races and dead processes.

New objects go into the area that the refs name. Before anything is removed, the refs are replaced
by ones that name the next area. Whoever commits after that has read these refs, and writes all
its objects into the new area; whoever read older ones loses its race and writes its objects again.
So the older areas can be emptied of what the new refs do not lead to, however slowly, while any
number of writers are at work.
"""

import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from workers.formats.documents import next_count
from workers.progress_callbacks import ProgressCallback
from workers.registry.adapter import RegisteredAdapter
from workers.registry.documents.change import Change
from workers.registry.documents.layout import adapter_prefix, area_of
from workers.registry.documents.refs import Refs
from workers.registry.reach import reachable
from workers.store.base import Listed, ObjectStore

DEFAULT_GRACE_S = 24 * 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Garbage:
    """Objects that nothing leads to.

    Attributes:
        keys: Where they lie.
        size_bytes: How many bytes they take.
        removed: Whether they were removed; False after a dry run.
    """

    keys: tuple[str, ...]
    size_bytes: int
    removed: bool


def collect(
    adapter: RegisteredAdapter,
    *,
    now: float,
    grace_s: float = DEFAULT_GRACE_S,
    dry_run: bool = True,
    progress: ProgressCallback | None = None,
) -> Garbage:
    """Find, and unless it is a dry run remove, the adapter's objects that nothing leads to.

    Every version that was ever published is kept, with its history, whatever aliases say.

    Args:
        adapter: The adapter.
        now: Seconds since 1970.
        grace_s: Younger objects are left alone, so that writers need not write again, in seconds.
        dry_run: Only look.
        progress: Called with objects removed so far, and objects to remove.
    """
    before = now - grace_s
    refs = adapter.refs() if dry_run else adapter.writer.settle()
    found = list(_unreachable(adapter, refs, before))
    if dry_run or not found:
        return _garbage(found, removed=False)
    refs = adapter.writer.change(_next_area)
    found = list(_unreachable(adapter, refs, before, below=refs.area))
    _remove(adapter.objects.store, found, progress)
    adapter.objects.store.sweep(before)
    return _garbage(found, removed=True)


def collect_blobs(
    store: ObjectStore,
    prefix: str,
    *,
    needed: Callable[[], Collection[str]],
    now: float,
    grace_s: float = DEFAULT_GRACE_S,
    dry_run: bool = True,
    progress: ProgressCallback | None = None,
) -> Garbage:
    """Find, and unless it is a dry run remove, old objects below `prefix` that nobody needs.

    Unlike `collect`, this relies on the grace period: it must be longer than the time between
    writing an object and writing what refers to it.

    Args:
        store: Where they lie.
        prefix: Ends with a slash.
        needed: Returns the keys that are needed; called after the listing, so that it knows of
            everything that was listed.
        now: Seconds since 1970.
        grace_s: Younger objects are left alone, in seconds.
        dry_run: Only look.
        progress: Called with objects removed so far, and objects to remove.
    """
    old = [listed for listed in store.list(prefix) if listed.modified < now - grace_s]
    keep = frozenset(needed())
    found = [listed for listed in old if listed.key not in keep]
    if not dry_run:
        _remove(store, found, progress)
    return _garbage(found, removed=not dry_run)


def _next_area(refs: Refs) -> Change[Refs]:
    after = replace(refs, area=next_count(refs.area, "the area of an adapter"))
    return Change(refs=after, move=None, result=after)


def _unreachable(
    adapter: RegisteredAdapter, refs: Refs, before: float, *, below: float = math.inf
) -> Iterator[Listed]:
    """Yield old objects in areas before `below` that `refs` do not lead to.

    What somebody else has put between them is none of the adapter's objects.
    """
    reach = reachable(adapter, refs)
    for listed in adapter.objects.store.list(adapter_prefix(adapter.name)):
        area = area_of(adapter.name, listed.key)
        if area is None or area >= below:
            continue
        if listed.modified < before and listed.key not in reach.objects:
            yield listed


def _remove(
    store: ObjectStore, found: Collection[Listed], progress: ProgressCallback | None
) -> None:
    for number, listed in enumerate(found, 1):
        store.delete(listed.key)
        if progress:
            progress(number, len(found))


def _garbage(found: Collection[Listed], *, removed: bool) -> Garbage:
    return Garbage(
        keys=tuple(listed.key for listed in found),
        size_bytes=sum(listed.size_bytes for listed in found),
        removed=removed,
    )
