"""In-memory object store, for tests, notebooks and dry runs."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Never

from adapters.errors import ConflictError, NotFoundError
from workers.store.base import (
    Listed,
    Object,
    ObjectStore,
    check_conditional,
    check_etag,
    check_key,
    check_prefix,
)


@dataclass(frozen=True, slots=True)
class _Cell:
    data: bytes
    modified: float


class MemoryStore(ObjectStore):
    """Objects in a dictionary; gone with the process.

    Args:
        name: Tells one memory store from another in messages.
        clock: Gives the modification times of listings, seconds since 1970.
    """

    def __init__(self, name: str = "", *, clock: Callable[[], float] = time.time) -> None:
        self._name = name
        self._clock = clock
        self._lock = threading.Lock()
        self._cells: dict[str, _Cell] = {}  # owned by _lock; cells are swapped, never edited

    def __reduce__(self) -> Never:
        raise TypeError(
            f"{self.url} cannot be sent to another process, which would see a copy of it: "
            "use a file:// or s3:// store"
        )

    @property
    def at_hand(self) -> bool:
        return True

    @property
    def url(self) -> str:
        return f"memory://{self._name}"

    def get(self, key: str) -> Object:
        data = self._cell(key).data
        return Object(data=data, etag=_etag(data))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return self._cell(key).data[start : start + length]

    def put(self, key: str, data: bytes) -> None:
        with self._lock:
            self._write(key, data)

    def create(self, key: str, data: bytes) -> str:
        check_conditional(key, data)
        with self._lock:
            if check_key(key) in self._cells:
                raise ConflictError(
                    f"{key!r} exists already in {self.url}; nothing was written", key=key
                )
            return self._write(key, data)

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        check_conditional(key, data)
        with self._lock:
            cell = self._cells.get(check_key(key))
            found = None if cell is None else _etag(cell.data)
            check_etag(self, key, expected=expected_etag, found=found)
            return self._write(key, data)

    def list(self, prefix: str) -> Iterator[Listed]:
        check_prefix(prefix)
        with self._lock:
            cells = [item for item in self._cells.items() if item[0].startswith(prefix)]
        for key, cell in cells:
            yield Listed(key=key, size_bytes=len(cell.data), modified=cell.modified)

    def delete(self, key: str) -> None:
        with self._lock:
            self._cells.pop(check_key(key), None)

    def _cell(self, key: str) -> _Cell:
        with self._lock:
            cell = self._cells.get(check_key(key))
        if cell is None:
            raise NotFoundError(f"no object {key!r} in {self.url}", key=key)
        return cell

    def _write(self, key: str, data: bytes) -> str:
        self._cells[check_key(key)] = _Cell(bytes(data), self._clock())
        return _etag(data)


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
