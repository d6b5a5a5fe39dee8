"""Check that a store honours conditional writes: several writers race for one key, one may win."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from adapters.errors import ConflictError, NotFoundError, SettingsError
from workers.store.base import ObjectStore

RACERS = 8


def check_conditional_writes(store: ObjectStore, *, racers: int = RACERS) -> None:
    """Race for a scratch key and remove it; return when exactly one racer won each race.

    Raises:
        SettingsError: The store lets several writers win, or a stale one: it must not be used.
        UnavailableError: The store cannot be reached.
    """
    key = f"probe/{uuid.uuid4().hex}"
    try:
        _require(
            store, "create-if-absent", lambda n: store.create(key, b"created by %d" % n), racers
        )
        etag = store.get(key).etag
        _require(
            store,
            "replace-if-match",
            lambda n: store.replace(key, b"replaced by %d" % n, etag),
            racers,
        )
        _require_stale_lost(store, key, etag)
    finally:
        store.delete(key)


def race(attempt: Callable[[int], object], racers: int) -> int:
    """Let `racers` threads call `attempt` with their number at once; return how many won.

    An attempt loses by raising ConflictError, or NotFoundError; other errors are raised.
    """
    barrier = threading.Barrier(racers)

    def run(number: int) -> bool:
        barrier.wait()
        try:
            attempt(number)
        except (ConflictError, NotFoundError):
            return False
        return True

    with ThreadPoolExecutor(racers) as threads:
        return sum(threads.map(run, range(racers)))


def _require(
    store: ObjectStore, condition: str, attempt: Callable[[int], object], racers: int
) -> None:
    winners = race(attempt, racers)
    if winners != 1:
        raise _refused(store, f"{condition}: expected 1 winner of {racers}, found {winners}")


def _require_stale_lost(store: ObjectStore, key: str, etag: str) -> None:
    try:
        store.replace(key, b"replaced by a stale writer", etag)
    except ConflictError:
        return
    raise _refused(store, "replace-if-match: a writer with an old etag won")


def _refused(store: ObjectStore, finding: str) -> SettingsError:
    return SettingsError(
        f"the object store {store.url} does not honour conditional writes ({finding}): two "
        "writers could overwrite each other's versions; use a server that does, such as MinIO",
        url=store.url,
    )
