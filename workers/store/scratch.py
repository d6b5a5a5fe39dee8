"""Scratch: keys that a probe writes, and that are removed however it ends."""

import logging
import os
import time
import uuid
from contextlib import suppress
from types import TracebackType
from typing import Self

from adapters.errors import UnavailableError
from workers.store.base import ObjectStore

logger = logging.getLogger("nacre.store")

PREFIX = "probe/"
BODY_BYTES = 2**16
"""Large enough that a server which checks a condition and then writes is seen between the two."""
_FILLING = os.urandom(BODY_BYTES)  # which no server can make smaller than it is
LEFT_S = 86_400.0
"""What lies there for a day was left by a probe that was killed; none takes an hour."""


class Scratch:
    """New keys in a store, gone again when this is left: by its end, an error or an interrupt.

    Args:
        store: The store.
    """

    # Owns: the keys that it has given and not removed. `remove` may be called from any thread, the
    # rest from the one that made it.

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.prefix = f"{PREFIX}{uuid.uuid4().hex}/"
        self._given = 0
        self._keys: set[str] = set()

    def __enter__(self) -> Self:
        with suppress(UnavailableError):  # whoever goes on from here meets it again
            self._sweep(before=time.time() - LEFT_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        patience = self.store.patience
        waits_s = () if isinstance(error, UnavailableError) else patience.waits_s
        for wait_s in (*waits_s, None):
            if self._removed_all():
                return
            if wait_s is not None:
                patience.sleep(wait_s)
        logger.warning(
            "up to %d objects of a probe stay below %r in %s: they mean nothing, and a start that "
            "comes after a day removes them",
            *(len(self._keys), self.prefix, self.store.url),
        )

    def new_key(self) -> str:
        """Return a key under which nothing is."""
        self._given += 1
        key = f"{self.prefix}{self._given}"
        self._keys.add(key)
        return key

    def remove(self, key: str) -> None:
        """Remove what is under `key`, now or at the end."""
        with suppress(UnavailableError):
            self.store.delete(key)
            self._keys.discard(key)

    def _removed_all(self) -> bool:
        try:
            for key in sorted(self._keys):
                self.store.delete(key)
                self._keys.discard(key)
        except UnavailableError:
            return False
        return True

    def _sweep(self, *, before: float) -> None:
        for left in [each for each in self.store.list(PREFIX) if each.modified < before]:
            self.store.delete(left.key)


def new_body(serial: int = 0) -> bytes:
    """Return bytes that no other call returns; `serial_of` tells their serial."""
    return b"%d %s\n" % (serial, uuid.uuid4().hex.encode()) + _FILLING


def serial_of(body: bytes) -> int:
    """Return the serial that `new_body` was given; -1 where the bytes are none of a probe."""
    first = body.split(b" ", 1)[0]
    return int(first) if first.isdigit() else -1
