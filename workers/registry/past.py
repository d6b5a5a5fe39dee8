"""The past of an adapter, read side by side: its history, and the documents of many versions.

An entry of the history names the one before it, so that a thousand of them would be read one after
another. Each names one much further back, too: beginning there as well, many are on their way at
once, and each is still read once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from itertools import islice
from typing import TypeVar

from adapters.errors import NacreError
from workers.concurrency.bounded import in_threads, pool_of
from workers.registry.documents.history import Entry, EntryRef, walk
from workers.registry.documents.layout import Stored
from workers.registry.documents.manifest import Manifest, VersionRef
from workers.registry.objects import AdapterObjects

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS = 16
"""Documents read at once: they are small, and a store answers after milliseconds."""
ONE_BY_ONE = 32
"""So many entries are read as they are asked for: a page of the history needs no more."""
AHEAD = 64
"""So many are read together behind these, and then twice as many each time: whoever asks for some
hundred entries of ten thousand has few others read."""


def past_entries(objects: AdapterObjects, latest: Stored | None) -> Iterator[Entry]:
    """Yield the entry `latest` and all before it, the latest first.

    Raises:
        CorruptionError, MissingError: An entry is damaged or gone; those after it were yielded.
    """
    if objects.store.at_hand:
        yield from walk(latest, objects.entry)
        return
    entry: Entry | None = None
    for entry in islice(walk(latest, objects.entry), ONE_BY_ONE):
        yield entry
    ahead = AHEAD
    while entry is not None and entry.previous is not None:
        known = _read_ahead(objects, entry.previous, oldest=entry.index - ahead)
        behind = walk(entry.previous.stored, partial(_known_or_read, objects, known))
        for entry in islice(behind, ahead):
            yield entry
        ahead *= 2


def _known_or_read(objects: AdapterObjects, known: Mapping[Stored, Entry], stored: Stored) -> Entry:
    return known.get(stored) or objects.entry(stored)


def _read_ahead(objects: AdapterObjects, latest: EntryRef, *, oldest: int) -> dict[Stored, Entry]:
    """Return the entries from index `oldest` to `latest`, but of those behind an unreadable one."""
    found: dict[Stored, Entry] = {}
    begun: set[Stored] = set()
    with pool_of(THREADS) as pool:
        pending = _begun(pool, objects, [latest.stored], begun)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for stored, entry in (future.result() for future in done):
                if entry is None:
                    continue
                found[stored] = entry
                links = (entry.previous, entry.jump)
                further = [link.stored for link in links if link and link.index >= oldest]
                pending |= _begun(pool, objects, further, begun)
    return found


def _begun(
    pool: ThreadPoolExecutor,
    objects: AdapterObjects,
    wanted: Iterable[Stored],
    begun: set[Stored],
) -> set[Future[tuple[Stored, Entry | None]]]:
    """Begin to read those of `wanted` that nobody has begun to read."""
    new = {stored for stored in wanted if stored not in begun}
    begun |= new
    return {pool.submit(_entry, objects, stored) for stored in new}


def _entry(objects: AdapterObjects, stored: Stored) -> tuple[Stored, Entry | None]:
    try:
        return stored, objects.entry(stored)
    except NacreError:  # it is raised when it is this entry's turn
        return stored, None


def past_manifests(objects: AdapterObjects, versions: Iterable[VersionRef]) -> Iterator[Manifest]:
    """Yield the manifest of each version, in their order.

    Raises:
        CorruptionError, MissingError: One is damaged or gone; those before it were yielded.
    """
    return side_by_side(objects, lambda version: objects.manifest(version.manifest), versions)


def side_by_side(
    objects: AdapterObjects, read: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """Yield what `read` returns of each item, in order; many are read at once from far away.

    From a store that is at hand they are read one by one: it answers sooner than a thread begins.
    """
    if objects.store.at_hand:
        return map(read, items)
    return in_threads(read, items, threads=THREADS, ahead=2 * THREADS)
