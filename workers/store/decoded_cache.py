"""Cache of what was decoded of stored bytes, bounded in bytes; what is in use is found again."""

import threading
from typing import Protocol, TypeVar
from weakref import WeakValueDictionary

from cachetools import LRUCache

KEPT_BYTES = 2**31


class Sized(Protocol):
    """Something decoded."""

    @property
    def nbytes(self) -> int:
        """Bytes that it takes in memory."""


Decoded = TypeVar("Decoded", bound=Sized)


class DecodedCache:
    """Keeps what was decoded, by the digest of its bytes.

    What somebody else holds is found again however long ago it was asked for, so that it is never
    in memory twice; of the rest, the latest used stay.

    Args:
        most_bytes: Most bytes that are kept.
    """

    # Owns: `_kept` and `_alive`, guarded by `_lock`.

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._kept: LRUCache[str, Sized] = LRUCache(
            most_bytes, getsizeof=lambda decoded: decoded.nbytes
        )
        self._alive: WeakValueDictionary[str, Sized] = WeakValueDictionary()
        self._lock = threading.Lock()

    def find(self, sha256: str, kind: type[Decoded]) -> Decoded | None:
        """Return what has that digest and is of that kind; None where it is not there."""
        with self._lock:
            self._kept.get(sha256)  # so that it counts as used
            found = self._alive.get(sha256)
        return found if isinstance(found, kind) else None

    def keep(self, sha256: str, decoded: Decoded) -> Decoded:
        """Remember `decoded`, and return the one that others have remembered meanwhile."""
        with self._lock:
            found = self._alive.get(sha256)
            kept = found if isinstance(found, type(decoded)) else decoded
            self._alive[sha256] = kept
            if kept.nbytes <= self._kept.maxsize:
                self._kept[sha256] = kept
        return kept
