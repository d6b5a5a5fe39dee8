"""Bounded labels: names that others choose, of which so many are kept apart and no more."""

import threading

from workers.metrics.families import OTHER


class BoundedNames:
    """Gives the first names that come a label of their own, and all others one together.

    Args:
        most: How many.
    """

    # Owns: the names, guarded by `_lock` where they grow.

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def __call__(self, name: str) -> str:
        """Return the label of `name`."""
        if name in self._known:
            return name
        with self._lock:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return name
