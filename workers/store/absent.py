"""Absent, or only denied: look-ups that ask for a listing before they believe in nothing.

A node of a store that has just started denies objects for a while. Who wants to know whether
something exists, and must not be wrong, asks in two ways.
"""

from adapters.errors import NotFoundError
from workers.store.base import Object, ObjectStore
from workers.store.patience import AT_ONCE

LISTED = "the store lists it"


def find(store: ObjectStore, key: str, *, beside: str | None = None) -> Object | None:
    """Return the object under `key`; None where the store neither has nor lists it.

    Args:
        store: The object store.
        key: Its key.
        beside: Something in the same folder that is there: a listing without it is not believed.

    Raises:
        MissingError: it is listed, and not to be found, however often it is asked for.
    """
    try:
        return store.get(key)
    except NotFoundError:
        if not is_listed(store, key, beside=beside):
            return None
    return store.get_existing(key, because=LISTED)


def is_listed(store: ObjectStore, key: str, *, beside: str | None = None) -> bool:
    """Return whether `key`, which was denied, is listed; never where a denial is the truth."""
    if store.patience == AT_ONCE:
        return False
    folder = key.rpartition("/")[0]
    listed = {entry.key for entry in store.list(f"{folder}/")}
    return key in listed or (beside is not None and beside not in listed)
