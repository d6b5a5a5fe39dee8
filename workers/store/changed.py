"""Changed objects below a prefix: those that may be others than when they were read last.

A listing says when each was written, but stores may keep times in whole seconds: what has changed a
moment ago may have changed twice within one.
"""

from workers.store.base import ObjectStore

COARSE_S = 3.0


class ChangedObjects:
    """Looks for changes of the objects below one prefix, with one listing each time.

    Args:
        store: The object store.
        prefix: Ends with a slash.
    """

    # Owns: what the listing said last of each object, and since when.

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store = store
        self._prefix = prefix
        self._seen: dict[str, tuple[tuple[float, int], float]] = {}

    def look(self, *, now: float) -> list[str]:
        """Return the keys of objects that are new or may have changed since the look before.

        Args:
            now: Seconds, by a clock that the caller goes on to use.
        """
        listed = {
            entry.key: (entry.modified, entry.size_bytes)
            for entry in self._store.list(self._prefix)
        }
        before, self._seen = self._seen, {}
        for key, said in listed.items():
            known = before.get(key)
            self._seen[key] = known if known is not None and known[0] == said else (said, now)
        return sorted(key for key, (_, since) in self._seen.items() if now - since < COARSE_S)

    def look_again(self, key: str) -> None:
        """Let the next look return `key`: what was read of it could not be used."""
        self._seen.pop(key, None)

    @property
    def keys(self) -> frozenset[str]:
        """The keys of all objects that there were at the latest look."""
        return frozenset(self._seen)
