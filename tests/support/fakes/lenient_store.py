"""Stores that let a writer win who must lose: now and then in races, or always."""

import random
import threading
from collections.abc import Callable
from pathlib import Path

from adapters.errors import ConflictError
from workers.store import FileStore, MemoryStore


class LenientStore(MemoryStore):
    """Lets a second racer win in a share of the races; the same seed draws the same numbers.

    Whoever writes alone sees nothing of it: only another thread is let in.

    Args:
        creating: Share of the races to create a key, from 0 to 1.
        replacing: Share of the races to replace an etag, from 0 to 1.
        seed: Of what is drawn.
    """

    # Owns: `_winners`, who won the races in which a second one may, guarded by `_door`.

    def __init__(self, *, creating: float = 0.0, replacing: float = 0.0, seed: int = 0) -> None:
        super().__init__("lenient")
        self._creating, self._replacing = creating, replacing
        self._random = random.Random(seed)
        self._door = threading.Lock()
        self._winners: dict[tuple[str, str], int] = {}

    def create(self, key: str, data: bytes) -> str:
        write = super().create
        return self._raced((key, ""), self._creating, data, lambda: write(key, data))

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        write = super().replace
        race = (key, expected_etag)
        return self._raced(race, self._replacing, data, lambda: write(key, data, expected_etag))

    def _raced(
        self, race: tuple[str, str], share: float, data: bytes, write: Callable[[], str]
    ) -> str:
        with self._door:
            try:
                etag = write()
            except ConflictError:
                if self._winners.pop(race, threading.get_ident()) == threading.get_ident():
                    raise
                self.put(race[0], data)
                return self.get(race[0]).etag
            if self._random.random() < share:
                self._winners[race] = threading.get_ident()
            return etag


class ReplacesAnything(MemoryStore):
    """Takes every etag for the right one, but makes nothing."""

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        del expected_etag
        return super().replace(key, data, self.get(key).etag)


class ReplacesNothing(MemoryStore):
    """Says of every etag that it is an old one."""

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        return super().replace(key, data, f'"{expected_etag}"')


class CreatesAnywhere(MemoryStore):
    """Ignores `If-None-Match`."""

    def create(self, key: str, data: bytes) -> str:
        self.put(key, data)
        return self.get(key).etag


class CreatesByReplacing(MemoryStore):
    """Makes what is to be replaced and is not there."""

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        if not any(listed.key == key for listed in self.list("")):
            return self.create(key, data)
        return super().replace(key, data, expected_etag)


class CreatesNothing(MemoryStore):
    """Says of everything that it is there."""

    def create(self, key: str, data: bytes) -> str:
        del data
        raise ConflictError(f"{key!r} exists already", key=key)


class TellsLostAndWrites(MemoryStore):
    """Tells who must lose that it has lost, and writes all the same."""

    def create(self, key: str, data: bytes) -> str:
        try:
            return super().create(key, data)
        except ConflictError:
            self.put(key, data)
            raise


class WinsInEachProcess(FileStore):
    """Lets each process win that has not won yet: one who writes alone sees nothing of it."""

    def __init__(self, root: Path | str) -> None:
        super().__init__(root)
        self._path_of_root = str(root)
        self._own: set[str] = set()

    def __reduce__(self) -> tuple[object, ...]:
        return WinsInEachProcess, (self._path_of_root,)

    def create(self, key: str, data: bytes) -> str:
        try:
            etag = super().create(key, data)
        except ConflictError:
            if key in self._own:
                raise
            self.put(key, data)
            etag = self.get(key).etag
        self._own.add(key)
        return etag
