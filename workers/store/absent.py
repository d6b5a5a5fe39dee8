"""Absent, or only denied: look-ups that ask for a listing before they believe in nothing.

A node of a store that has just started denies objects for a while. Who wants to know whether
something exists, and must not be wrong, asks in two ways.
"""

from adapters.errors import NotFoundError
from workers.store.base import Object, ObjectStore
from workers.store.patience import AT_ONCE

LISTED = "the store lists it"


def find(store: ObjectStore, key: str) -> Object | None:
    """Return the object under `key`; None where the store neither has nor lists it.

    Raises:
        MissingError: it is listed, and not to be found, however often it is asked for.
    """
    try:
        return store.get(key)
    except NotFoundError:
        if not is_listed(store, key):
            return None
    return store.get_existing(key, because=LISTED)


def is_listed(store: ObjectStore, key: str) -> bool:
    """Return whether `key` is listed although it was denied; of some stores it cannot be."""
    if store.patience == AT_ONCE:
        return False
    folder = key.rpartition("/")[0]
    return any(listed.key == key for listed in store.list(f"{folder}/"))
