"""Lists in the store, each one serial document, changed by condition alone."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Generic, TypeVar

from adapters.errors import NotFoundError
from workers.formats.documents import Count, next_count, seal
from workers.store.base import ObjectStore
from workers.store.serial_document import Held
from workers.store.serial_swap import SerialSwap


@dataclass(frozen=True, kw_only=True, slots=True)
class SerialList:
    """The state of such a list.

    Attributes:
        serial: Grows by one with every change.
        before: SHA-256 of the list that this one replaced; empty for the first.
    """

    serial: Count = 0
    before: str = ""

    def to_bytes(self) -> bytes:
        """Return the sealed document."""
        return seal(asdict(self))


Listed = TypeVar("Listed", bound=SerialList)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptList(Generic[Listed]):
    """One list of every store.

    Attributes:
        key: Its key.
        decode: Returns what its bytes say; the second argument names them in errors.
        empty: What it says where there never was one.
    """

    key: str
    decode: Callable[[bytes, str], Listed]
    empty: Listed

    def read(self, store: ObjectStore) -> Listed:
        """Return what it says.

        Raises:
            MissingError: this process has seen one, and it is not to be found now.
            CorruptionError: it is damaged.
        """
        try:
            return self._swap(store).document.read().content
        except NotFoundError:
            return self.empty

    def change(self, store: ObjectStore, changed: Callable[[Listed], Listed]) -> None:
        """Have it say what `changed` makes of it; serial and digest are seen to here."""

        def decide(held: Held[Listed] | None) -> Listed:
            if held is None:
                return replace(changed(self.empty), serial=1)
            serial = next_count(held.above, f"the serial of {self.key!r}")
            return replace(changed(held.content), serial=serial, before=held.digest)

        self._swap(store).change(decide)

    def _swap(self, store: ObjectStore) -> SerialSwap[Listed]:
        return SerialSwap(store, self.key, self.decode)
