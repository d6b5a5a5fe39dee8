"""Alias `head` of an adapter that is being learnt: where it points, as far as the store knows."""

import logging

from adapters.errors import ConflictError, MissingError
from workers.registry import Refs, RegisteredAdapter, Registry
from workers.registry.documents.layout import HEAD, refs_key
from workers.store.base import ObjectStore

logger = logging.getLogger("nacre.coordinator")


def head_of(store: ObjectStore, adapter: str, *, epoch: int) -> int | None:
    """Return the version that `head` points to, 0 for none; None where nobody can say now.

    Where the store has gone back behind what this process has seen, the refs are settled.

    Args:
        store: The object store.
        adapter: The adapter's name.
        epoch: Under which it is being learnt: refs of an earlier one are from before.
    """
    handle = Registry(store).adapter(adapter)
    try:
        refs = _settled(handle)
    except MissingError as error:
        logger.warning("nobody knows where `head` is: %s", error.message)
        return None
    if refs.fence.epoch < epoch:
        return None
    found = refs.find(HEAD)
    return found.number if found else 0


def _settled(handle: RegisteredAdapter) -> Refs:
    store = handle.objects.store

    def settled() -> Refs:
        try:
            return handle.writer.settled()
        except ConflictError:
            return handle.refs()  # others change them all the time, which settles them as well

    return store.patience.ask(
        settled,
        key=refs_key(handle.name),
        url=store.url,
        because="a task of this adapter is being learnt",
    )
