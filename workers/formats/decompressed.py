"""Decompression of gzip, bzip2 and xz as a stream, to the end and not one byte of it dropped.

The classes of the standard library read what is compressed in several pieces, one behind another,
but leave out without a word whatever follows the last of them; and xz may ask for gigabytes to
decompress a few bytes with.
"""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

from adapters.errors import SettingsError
from workers.formats.tar_headers import compression_of
from workers.formats.tar_members import Readable

_READ_BYTES = 2**16
_BEGINNING_BYTES = 8
MEMORY_BYTES = 128 * 2**20
"""Most memory to decompress xz with; `xz -9` needs half of it."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """`zlib` with what the other two have: it keeps what it has not looked at yet."""

    # Owns: the state of the decompressor.

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


_KINDS: dict[str, Callable[[], _Decompressor]] = {
    "gzip": _Gzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=MEMORY_BYTES),
}


def decompressed(file: BinaryIO) -> Readable:
    """Return what `file` is when it is decompressed; `file` itself where it is not compressed.

    Raises:
        SettingsError: it is compressed in another way than with gzip, bzip2 or xz. Reading raises
            it too, where the file is damaged, cut off, or something else follows.
    """
    start = file.tell()
    name = compression_of(file.read(_BEGINNING_BYTES))
    file.seek(start)
    if name is None:
        return file
    if name not in _KINDS:
        raise SettingsError(
            f"it is compressed with {name}; expected gzip, bzip2 or xz, or no compression"
        )
    return _Decompressed(file, name)


class _Decompressed:
    """A compressed file as the bytes that were compressed.

    Args:
        file: What is compressed.
        name: How.
    """

    # Owns: the decompressor of the piece that is being read, and what has been read for the next.

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._piece: _Decompressor | None = _KINDS[name]()
        self._pending = b""

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, /) -> int:
        raise OSError(f"there is no way to byte {offset} but to read on")

    def read(self, size: int, /) -> bytes:
        try:
            while self._piece is not None:
                content = self._step(self._piece, size)
                if content:
                    return content
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
            raise SettingsError(f"its {self._name} is damaged ({error}); copy it again") from error
        return b""

    def _step(self, piece: _Decompressor, size: int) -> bytes:
        """Return up to `size` bytes; none where one step did not give any."""
        if piece.eof:
            self._pending = piece.unused_data
            self._piece = self._next()
            return b""
        content = piece.decompress(b"", size)
        if content or piece.eof:
            return content
        data, self._pending = self._pending or self._file.read(_READ_BYTES), b""
        if not data:
            raise SettingsError(f"it ends too early, within its {self._name}; copy it again")
        return piece.decompress(data, size)

    def _next(self) -> _Decompressor | None:
        """Return what reads the piece that follows; None where zeros alone do."""
        behind = self._pending.lstrip(b"\0")
        while len(behind) < _BEGINNING_BYTES and (more := self._file.read(_READ_BYTES)):
            behind = (behind + more).lstrip(b"\0")
        if not behind:
            return None
        if compression_of(behind) != self._name:
            raise SettingsError(
                f"bytes of something else follow the end of its {self._name}; copy it again"
            )
        self._pending = behind
        return _KINDS[self._name]()
