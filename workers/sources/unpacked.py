"""Unpacked images: those that cannot be read one by one where they are, in a file that nobody sees.

Tables hold images in pages, and compressed archives in one stream. Their images are written one
behind another into a temporary file, which is gone with the last reference to one of them.
"""

import io
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from adapters.errors import InputError, NotFoundError, SettingsError
from workers.images.decode import DEFAULT_LIMITS
from workers.sources.places.image import ImageRef
from workers.sources.places.place import Entry, Place, RangeFile

_CHECKED_BYTES = 64 * 2**20
_LEFT_BYTES = 2**30
"""So much of a disk is left to others."""


class Part(NamedTuple):
    """A part of what was written.

    Attributes:
        start: Its first byte.
        end: The byte behind its last one.
    """

    start: int
    end: int


class Unpacked(Place):
    """A temporary file, as the place of the images in it.

    Args:
        place: Where they were.
        most: Most bytes of all of them.
        told: What messages call all of them, in place of the files they were in.
    """

    # Owns: the file. Written by one thread, read by many.

    read_ahead: ClassVar[int] = 4096
    looks: ClassVar[int] = 0

    def __init__(self, place: Place, *, most: int, told: str = "") -> None:
        self._place, self._most, self._told = place, most, told
        self._size = self._checked = 0
        self._file = tempfile.TemporaryFile(prefix="nacre-unpacked-")  # noqa: SIM115 - as long as this
        weakref.finalize(self, self._file.close)

    def add(self, content: bytes, *, name: str, member: str) -> ImageRef:
        """Return the reference to an image that is written; of a larger one enough to refuse it.

        Args:
            content: Its bytes.
            name: The file that it was in.
            member: What it is called there.

        Raises:
            SettingsError: there are too many bytes, or there is no room for them.
        """
        start = self._size
        self.write(content[: DEFAULT_LIMITS.size_bytes + 1], name=name)
        return ImageRef(place=self, name=name, member=member, start=start, size=self._size - start)

    def write(self, content: bytes, *, name: str) -> None:
        """Write further bytes that were in a file; errors as of `add`."""
        origin = self.origin(name)
        if self._size + len(content) > self._most:
            raise SettingsError(
                f"expected at most {self._most} bytes in what {origin} unpacks to, found more; "
                "divide it, or unpack it where nacre reads it file by file"
            )
        try:
            if self._size + len(content) > self._checked:
                self._check_room(len(content))
            self._file.write(content)
        except OSError as error:
            raise SettingsError(
                f"expected room for what {origin} unpacks to in {tempfile.gettempdir()}: "
                f"{error.strerror or error}; set TMPDIR to a folder with more"
            ) from error
        self._size += len(content)

    def _check_room(self, more: int) -> None:
        if shutil.disk_usage(tempfile.gettempdir()).free < more + _CHECKED_BYTES + _LEFT_BYTES:
            raise OSError("the disk is nearly full")
        self._checked = self._size + more + _CHECKED_BYTES

    # There is one file: names are those that its contents had.
    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:  # noqa: ARG002
        try:
            self._file.flush()
            return os.pread(self._file.fileno(), self._size if length is None else length, start)
        except (OSError, ValueError, OverflowError) as error:
            raise NotFoundError(str(error)) from error

    def part(self, name: str, part: Part) -> io.RawIOBase:
        """Return a part of what was written as a stream; `name` is the file that it was in."""
        return _PartFile(self, name, part)

    def size(self, name: str) -> int:  # noqa: ARG002
        return self._size

    def origin(self, name: str) -> str:
        return self._told or self._place.origin(name)

    def entries(self) -> Iterator[Entry]:
        return iter(())

    def directly(self, folder: str = "") -> Iterator[Entry]:  # noqa: ARG002
        return iter(())

    def files(self) -> Iterator[str]:
        return iter(())

    def has(self, name: str) -> bool:  # noqa: ARG002
        return False

    def resolved(self, path: str) -> str:
        raise InputError(f"expected an image that was unpacked, found the path {path!r}")


class _PartFile(RangeFile):
    """A part of what was written, from its own first byte on."""

    # Owns: the position.

    def __init__(self, place: Unpacked, name: str, part: Part) -> None:
        super().__init__(place, name)
        self._part = part

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        start = self._part.start + self._position
        length = max(0, min(len(buffer), self._part.end - start))
        content = self._place.read(self._name, start, length)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def buffered(place: Place, name: str) -> io.BufferedReader:
    """Return a file of a place as a stream of pieces; errors as of `Place.opened`."""
    return io.BufferedReader(place.opened(name), place.read_ahead)
