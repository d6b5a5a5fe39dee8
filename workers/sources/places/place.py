"""Folders of files, on this machine or below a prefix of an object store.

Whatever reads a source asks a place, so that a source is the same thing wherever it lies.
"""

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from enum import Enum, auto
from typing import ClassVar, NamedTuple


class EntryKind(Enum):
    """What an entry of a place is."""

    FILE = auto()
    FOLDER = auto()  # directly in the place; deeper ones show in the names of their files alone
    SYSTEM = auto()  # left by a system or a program; what is in such a folder is not looked at
    LINK = auto()  # to nowhere, to itself, or to a folder inside one of the place's folders
    CLOSED = auto()  # a folder that cannot be listed
    SPECIAL = auto()  # a pipe, a socket or a device


class Entry(NamedTuple):
    """Something that lies in a place.

    Attributes:
        name: Relative to the place, with slashes.
        kind: What it is.
    """

    name: str
    kind: EntryKind


class Place(ABC):
    """A folder of files. Names are relative to it. Safe to use from many threads."""

    read_ahead: ClassVar[int]
    """Bytes worth reading at once where a file is read piece by piece."""

    looks: ClassVar[int]
    """Most files whose first bytes are worth looking at, where their names do not say enough."""

    @abstractmethod
    def entries(self) -> Iterator[Entry]:
        """Yield everything that lies here, however deep, in no particular order.

        Raises:
            InputError: the place, or a folder directly in it, cannot be listed.
            UnavailableError: the store cannot be reached.
        """

    @abstractmethod
    def files(self) -> Iterator[str]:
        """Yield the names of the files directly here; errors as in `entries`."""

    @abstractmethod
    def directly(self, folder: str = "") -> Iterator[Entry]:
        """Yield what lies directly in a folder, by its name there: files, and folders of any depth.

        Raises:
            InputError: it cannot be listed.
            UnavailableError: the store cannot be reached.
        """

    def opened(self, name: str) -> io.RawIOBase:
        """Return a file as a stream; errors as in `read`, while it is read."""
        return RangeFile(self, name)

    @abstractmethod
    def has(self, name: str) -> bool:
        """Return whether there is a file called `name`."""

    @abstractmethod
    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return the bytes of a file from `start` on: all, or up to `length`.

        Raises:
            NotFoundError: it cannot be read; the message is the reason.
            UnavailableError: the store cannot be reached.
        """

    @abstractmethod
    def size(self, name: str) -> int:
        """Return the bytes of a file; errors as in `read`."""

    @abstractmethod
    def origin(self, name: str) -> str:
        """Return where `name` is, for messages."""

    @abstractmethod
    def resolved(self, path: str) -> str:
        """Return the name of the file that a list in this place calls `path`.

        Backslashes are slashes, as Windows writes them, unless a file here is called so.

        Raises:
            InputError: it lies outside of what this place can read.
        """


class RangeFile(io.RawIOBase):
    """A file of a place as a stream: what is asked for is read, and nothing else.

    Args:
        place: Where it is.
        name: Of the file.
    """

    # Owns: the position. Used by one thread.

    def __init__(self, place: Place, name: str) -> None:
        super().__init__()
        self._place, self._name, self._position = place, name, 0
        self._size: int | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            if self._size is None:
                self._size = self._place.size(self._name)
            self._position = self._size + offset
        else:
            self._position = offset + (self._position if whence == io.SEEK_CUR else 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        content = self._place.read(self._name, self._position, len(buffer))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)
