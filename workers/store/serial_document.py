"""Serial documents: one object each, changed by condition alone, and read forwards only."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from adapters.contract.canonical import digest_of
from workers.store.base import Object, ObjectStore
from workers.store.sightings import Sight, sightings_of


class Serial(Protocol):
    """A document with a serial."""

    @property
    def serial(self) -> int:
        """Grows by one with every change; 0 in documents from before there were serials."""


Content = TypeVar("Content", bound=Serial)


@dataclass(frozen=True, kw_only=True, slots=True)
class Held(Generic[Content]):
    """A document as it was read.

    Attributes:
        content: What it says.
        etag: What replacing it expects.
        digest: SHA-256 of its bytes: what the next one names as the one before.
        above: The highest serial that was seen; the next one is above it.
    """

    content: Content
    etag: str
    digest: str
    above: int


class SerialDocument(Generic[Content]):
    """One document of a store.

    Args:
        store: Where it is.
        key: Its key.
        decode: Returns what its bytes say; the second argument names them in errors.
    """

    # Owns: nothing; what was seen is the store's sightings.

    def __init__(
        self, store: ObjectStore, key: str, decode: Callable[[bytes, str], Content]
    ) -> None:
        self._store = store
        self._key = key
        self._decode = decode
        self._sightings = sightings_of(store)

    def read(self, *, because: str = "") -> Held[Content]:
        """Return the document, and never one from before one that this process has seen.

        Args:
            because: What says that it exists, as half a sentence; empty where nothing does but
                what this process has seen.

        Raises:
            NotFoundError: there is none, and this process has not seen one.
            MissingError: this process has seen one, or something says that it exists, and there is
                none.
            CorruptionError: it is damaged.
        """
        asked = self._asked(because)
        return self._held(self._sightings.note(self._key, asked.sight), asked)

    def read_to_change(
        self, refused: frozenset[str] = frozenset(), *, because: str = ""
    ) -> Held[Content]:
        """Return what a change is to be made of; as `read`, but not what the store refuses.

        The store's condition decides which of several answers is the document. Where it does not
        accept the newest one that was seen, that one was a write which failed, or it has been
        replaced since.

        Args:
            refused: Etags on which a change was refused.
            because: See `read`.
        """
        asked = self._asked(because)
        newest = self._sightings.note(self._key, asked.sight)
        if newest.found.etag in refused:
            return self._held(asked.sight, asked, above=newest.serial)
        return self._held(newest, asked)

    @property
    def seen(self) -> Content | None:
        """The newest that this process has seen, whatever the store says now; None for nothing."""
        newest = self._sightings.newest(self._key)
        return None if newest is None else self._decoded(newest.found)

    @property
    def is_unsettled(self) -> bool:
        """Whether the store went back, and nobody knows yet which document will stay."""
        return self._sightings.is_unsettled(self._key)

    def acknowledged(self, data: bytes, etag: str, content: Content) -> None:
        """Note that the store has acknowledged a change to this process."""
        found = Object(data=data, etag=etag)
        self._sightings.settle(self._key, Sight(serial=content.serial, found=found))

    def _asked(self, because: str) -> "_Asked[Content]":
        found = self._found(because)
        content = self._decoded(found)
        return _Asked(sight=Sight(serial=content.serial, found=found), content=content)

    def _found(self, because: str) -> Object:
        if self._sightings.newest(self._key) is not None:
            because = because or "this process has read it before"
        if not because:
            return self._store.get(self._key)
        return self._store.get_existing(self._key, because=because)

    def _held(self, sight: Sight, asked: "_Asked[Content]", *, above: int = 0) -> Held[Content]:
        # What was asked for has been decoded; large documents are not decoded twice.
        same = sight.found == asked.sight.found
        return Held(
            content=asked.content if same else self._decoded(sight.found),
            etag=sight.found.etag,
            digest=digest_of(sight.found.data),
            above=max(above, sight.serial),
        )

    def _decoded(self, found: Object) -> Content:
        return self._decode(found.data, f"{self._key!r} in {self._store.url}")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked(Generic[Content]):
    """What the store has answered, and what it says."""

    sight: Sight
    content: Content
