"""Short-lived cache of version look-ups by number or alias; it answers while the store is away."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

from adapters.errors import NotFoundError, UnavailableError
from workers.registry import Registry, VersionRef

KEPT_S = 5.0
"""A number means the same version for ever, unless a task of it is purged."""
MOST = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundVersion:
    """What was found.

    Attributes:
        ref: The version.
        found_at: When, by the clock of `VersionLookup`.
    """

    ref: VersionRef
    found_at: float


class VersionLookup:
    """Looks versions up by number or alias.

    Numbers are looked up again after a few seconds, aliases at once. While the store cannot be
    reached, what was found last goes on to count.

    Args:
        registry: Where they are looked up.
        clock: Gives seconds that never go back.
    """

    # Owns: `_found`, guarded by `_lock`.

    def __init__(self, registry: Registry, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry
        self._clock = clock
        self._lock = threading.Lock()
        self._found: LRUCache[tuple[str, str], FoundVersion] = LRUCache(MOST)

    def find(self, adapter: str, pinned: int | str) -> VersionRef:
        """Return the version that `pinned`, a number or an alias, stands for.

        Raises:
            NotFoundError: there is none.
            InputError: a task of it was purged.
            UnavailableError: the store cannot be reached, and this was not found before.
        """
        key, now = (adapter, str(pinned)), self._clock()
        with self._lock:
            known = self._found.get(key)
        if known and key[1].isdecimal() and now - known.found_at < KEPT_S:
            return known.ref
        try:
            ref = self._looked_up(adapter, pinned)
        except UnavailableError:
            if known is None:
                raise
            return known.ref
        with self._lock:
            self._found[key] = FoundVersion(ref=ref, found_at=now)
        return ref

    def _looked_up(self, adapter: str, pinned: int | str) -> VersionRef:
        try:
            return self._asked(adapter, pinned)
        except NotFoundError:
            # Whoever pins a version was told of it; this answer may be from before that.
            return self._asked(adapter, pinned)

    def _asked(self, adapter: str, pinned: int | str) -> VersionRef:
        handle = self._registry.adapter(adapter)
        refs = handle.refs()
        ref = handle.version_in(refs, pinned)
        handle.check_servable(refs, ref)
        return ref
