"""Conditions of writes, and whether they hold for a writer who is alone."""

from collections.abc import Callable
from enum import Enum
from functools import partial

from adapters.errors import ConflictError, NotFoundError
from workers.store.base import ObjectStore
from workers.store.scratch import Scratch, new_body


class Condition(Enum):
    """What a store promises of conditional writes, each as a sentence."""

    CREATES = "a create where nothing is, is made (If-None-Match: *)"
    TAKEN = "a create where something is, is refused and changes nothing (If-None-Match: *)"
    REPLACES = "a replace of the etag that is there is made (If-Match)"
    STALE = "a replace of an etag from before is refused and changes nothing (If-Match)"
    GONE = "a replace where nothing is, is refused and makes nothing (If-Match)"
    ONE_CREATES = "of those who create one key at once, exactly one wins"
    ONE_REPLACES = "of those who replace one etag at once, exactly one wins"


ALONE = tuple(Condition)[:5]
WISHED = (Condition.GONE,)
"""What nothing here depends on where the others hold: no document that is replaced under a
condition is ever removed. Where it does not hold, and a store has lost such a document, whoever
holds it makes it anew."""
RACED = (Condition.ONE_CREATES, Condition.ONE_REPLACES)


def broken_alone(scratch: Scratch) -> tuple[Condition, ...]:
    """Return which conditions do not hold, though nobody else writes.

    Where nothing can be written under a condition at all, nothing else is tried.

    Raises:
        UnavailableError, UnknownOutcomeError: The store cannot be reached, or an answer was lost.
    """
    store, key, gone = scratch.store, scratch.new_key(), scratch.new_key()
    etag = _made(lambda: store.create(key, new_body()))
    if etag is None:
        return (Condition.CREATES,)
    broken = [Condition.TAKEN] * _wins(store, key, store.create, new_body())
    if _replaced(scratch, key) is None:
        broken.append(Condition.REPLACES)
        return tuple(broken)
    broken += [Condition.STALE] * _wins(store, key, _replacing(store, etag), new_body())
    broken += [Condition.GONE] * _wins(store, gone, _replacing(store, etag), new_body())
    return tuple(broken)


def _replacing(store: ObjectStore, etag: str) -> Callable[[str, bytes], str]:
    return lambda key, data: store.replace(key, data, etag)


def _replaced(scratch: Scratch, key: str) -> str | None:
    """Return the etag of a replace of what is there; None where that is refused for good.

    A node that has just started says that nothing is there, and then it refuses.
    """
    store = scratch.store
    for wait_s in (*store.patience.waits_s, None):
        found = store.get_existing(key, because="it has just been written")
        etag = _made(partial(store.replace, key, new_body(), found.etag))
        if etag is not None or wait_s is None:
            return etag
        store.patience.sleep(wait_s)
    raise AssertionError("the last attempt returns")


def _wins(store: ObjectStore, key: str, write: Callable[[str, bytes], str], data: bytes) -> bool:
    """Return whether a write that must be refused is made, whatever its writer is told."""
    if _made(lambda: write(key, data)) is not None:
        return True
    try:
        return store.get(key).data == data
    except NotFoundError:
        return False


def _made(write: Callable[[], str]) -> str | None:
    try:
        return write()
    except (ConflictError, NotFoundError):
        return None
