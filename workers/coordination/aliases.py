"""Aliases of adapters that are being learnt on: where they point, as far as the store knows."""

import logging

from adapters.errors import ConflictError, CorruptionError, MissingError
from workers.registry import Refs, RegisteredAdapter, Registry
from workers.registry.documents.layout import HEAD, refs_key
from workers.store.base import ObjectStore

logger = logging.getLogger("nacre.coordinator")


class Heads:
    """Looks at aliases of adapters again and again, and says once what is wrong with one.

    Args:
        store: The object store.
    """

    # Owns: what was said of each adapter, until its refs can be read again.

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._said: dict[str, str] = {}

    def of(self, adapter: str, *, epoch: int, alias: str = HEAD) -> int | None:
        """Return the version that an alias points to, 0 for none; None where nobody can say now.

        Where the store has gone back behind what this process has seen, the refs are settled. Refs
        that are missing or damaged are those of one adapter, and keep no other one from anything.

        Args:
            adapter: The adapter's name.
            epoch: Under which it is being learnt: refs of an earlier one are from before.
            alias: `head`, or that of a branch.
        """
        try:
            refs = _settled(Registry(self._store).adapter(adapter))
        except (CorruptionError, MissingError) as error:
            self._say(adapter, error)
            return None
        self._said.pop(adapter, None)
        if refs.fence.epoch < epoch:
            return None
        found = refs.find(alias)
        return found.number if found else 0

    def _say(self, adapter: str, error: CorruptionError | MissingError) -> None:
        # By its kind: how long was asked for something is told anew each time.
        if self._said.get(adapter) != type(error).__name__:
            logger.warning("nobody knows where `head` is: %s", error.message)
        self._said[adapter] = type(error).__name__


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
