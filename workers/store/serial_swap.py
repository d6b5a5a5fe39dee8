"""Swap of a serial document: the loop around the conditional write that changes it."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from adapters.contract.canonical import digest_of
from adapters.errors import ConflictError, NotFoundError, UnavailableError, UnknownOutcomeError
from workers.store.base import ObjectStore
from workers.store.serial_document import Held, Serial, SerialDocument

ATTEMPTS = 40
FIRST_WAIT_S = 0.01
LONGEST_WAIT_S = 1.0


class Written(Serial, Protocol):
    """A document with a serial, and the bytes that it is stored as."""

    def to_bytes(self) -> bytes:
        """Return the document."""


Content = TypeVar("Content", bound=Written)
Decide = Callable[[Held[Content] | None], Content]
"""Returns what a document is to say, given what is there; raises where it is to stay as it is.

It names the bytes that it replaces, and its serial is above all that were seen.
"""


class SerialSwap(Generic[Content]):
    """Changes one document of a store.

    Args:
        store: Where it is.
        key: Its key.
        decode: Returns what its bytes say; the second argument names them in errors.
    """

    # Owns: nothing; what was seen is the store's sightings.

    def __init__(
        self, store: ObjectStore, key: str, decode: Callable[[bytes, str], Content]
    ) -> None:
        self.document = SerialDocument(store, key, decode)
        self._store = store
        self._key = key

    def change(
        self, decide: Decide[Content], *, held: Held[Content] | None = None
    ) -> Held[Content]:
        """Change the document until the store has acknowledged it, and return it.

        A race that is lost is decided again on what the winner has written. What was sent and not
        answered is sent again, over what was there before or over itself: what is merely seen may
        be known to a part of the store's nodes alone.

        Args:
            decide: Says what it is to be.
            held: What is there, as far as the caller knows; read where None.

        Raises:
            MissingError: it exists, and is not to be found now.
            UnavailableError: the store refuses every change of what it answers.
            UnknownOutcomeError: answers are lost again and again.
            Exception: what `decide` raises.
        """
        refused: set[str] = set()
        because, sent = "", None
        unknown: UnknownOutcomeError | None = None
        for attempt in range(ATTEMPTS):
            if held is None:
                held = self._read(frozenset(refused), because)
            content = held.content if held and held.content == sent else decide(held)
            try:
                return self._write(content, held)
            except ConflictError:
                because = "the store has refused to create it anew"
                if held is not None and held.etag in refused:
                    self._pause(attempt)  # nothing new was answered since
                refused |= {held.etag} if held else set()
            except UnknownOutcomeError as error:
                sent, unknown = content, error
            held = None
        raise unknown or UnavailableError(
            f"{self._key!r} in {self._store.url} could not be changed: the store has refused "
            f"{ATTEMPTS} changes in a row of what it had answered; its answers may be old, "
            "or somebody changes it all the time",
            key=self._key,
        )

    def _read(self, refused: frozenset[str], because: str) -> Held[Content] | None:
        try:
            return self.document.read_to_change(refused, because=because)
        except NotFoundError:
            return None

    def _write(self, content: Content, held: Held[Content] | None) -> Held[Content]:
        data = content.to_bytes()
        if held is None:
            etag = self._store.create(self._key, data)
        else:
            etag = self._store.replace(self._key, data, held.etag)
        self.document.acknowledged(data, etag, content)
        return Held(content=content, etag=etag, digest=digest_of(data), above=content.serial)

    def _pause(self, attempt: int) -> None:
        self._store.patience.sleep(min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0**attempt))
