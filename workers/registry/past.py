"""The past of an adapter, read side by side: its history, and the documents of many versions.

An entry of the history names the one before it, so that a thousand of them would be read one after
another. Each names one much further back, too: beginning there as well, many are on their way at
once, and each is still read once.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from adapters.errors import NacreError
from workers.concurrency.bounded import in_threads, pool_of
from workers.registry.documents.history import Entry, walk
from workers.registry.documents.layout import Stored
from workers.registry.documents.manifest import Manifest, VersionRef
from workers.registry.objects import AdapterObjects

THREADS = 16
"""Documents read at once: they are small, and a store answers after milliseconds."""
ONE_BY_ONE = 32
"""So many entries are read as they are asked for: a page of the history needs no more."""


def past_entries(objects: AdapterObjects, latest: Stored | None) -> Iterator[Entry]:
    """Yield the entry `latest` and all before it, the latest first.

    Raises:
        CorruptionError, MissingError: An entry is damaged or gone; those after it were yielded.
    """
    for count, entry in enumerate(walk(latest, objects.entry), 1):
        yield entry
        latest = entry.previous.stored if entry.previous else None
        if count == ONE_BY_ONE:
            break
    else:
        return
    known = _read_ahead(objects, latest)
    yield from walk(latest, lambda stored: known.get(stored) or objects.entry(stored))


def _read_ahead(objects: AdapterObjects, latest: Stored | None) -> dict[Stored, Entry]:
    """Return `latest` and all entries before it, but of those behind one that cannot be read."""
    found: dict[Stored, Entry] = {}
    begun: set[Stored] = set()
    with pool_of(THREADS) as pool:
        pending = _begun(pool, objects, [latest], begun)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            for stored, entry in (future.result() for future in done):
                if entry is None:
                    continue
                found[stored] = entry
                links = (entry.previous, entry.jump)
                further = [link.stored if link else None for link in links]
                pending |= _begun(pool, objects, further, begun)
    return found


def _begun(
    pool: ThreadPoolExecutor,
    objects: AdapterObjects,
    wanted: Iterable[Stored | None],
    begun: set[Stored],
) -> set[Future[tuple[Stored, Entry | None]]]:
    """Begin to read those of `wanted` that nobody has begun to read."""
    new = {stored for stored in wanted if stored is not None and stored not in begun}
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
    stored = (version.manifest for version in versions)
    return in_threads(objects.manifest, stored, threads=THREADS, ahead=2 * THREADS)
