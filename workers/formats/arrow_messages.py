"""Messages of Arrow streams, each looked at before a library reads it.

A message is a prefix, what describes it (a flatbuffer), and a body. The library takes sizes from
the description; here they are compared with what is there, and bodies that are packed are refused.
https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""

import struct
from collections.abc import Generator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from adapters.errors import SettingsError

_FILE_MARK = b"ARROW1\0\0"
_GOES_ON = 0xFFFFFFFF
_HEADER_TYPE, _HEADER, _BODY = 1, 2, 3
"""Fields of a message."""
_COMPRESSION = 3
"""Field of a batch of records."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrowLimits:
    """The largest messages that are read.

    Attributes:
        description_bytes: Of what describes a message, a schema with all names of classes.
        body_bytes: Of what it describes: `datasets` writes a thousand rows at once.
    """

    description_bytes: int = 64 * 2**20
    body_bytes: int = 2**30


DEFAULT_LIMITS = ArrowLimits()


class MessageKind(IntEnum):
    """What a message holds."""

    SCHEMA = 1
    DICTIONARY = 2
    BATCH = 3


@dataclass(frozen=True, slots=True)
class ArrowMessage:
    """One message.

    Attributes:
        kind: What it holds, a `MessageKind` where that is known.
        content: All of its bytes.
    """

    kind: int
    content: bytes


class Stream(Protocol):
    """What a stream is read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes, fewer only at the end."""


def arrow_messages(
    file: Stream, *, limits: ArrowLimits = DEFAULT_LIMITS
) -> Generator[ArrowMessage]:
    """Yield the messages of an Arrow stream, or of an Arrow file up to its footer.

    Raises:
        SettingsError: it is none, damaged, cut off, packed, or over a limit; the message is the
            reason alone, for whoever knows the name of the file.
    """
    start = file.read(8)
    if start == _FILE_MARK:
        start = file.read(8)
    while True:
        if not start:
            return
        goes_on, size = struct.unpack("<II", start) if len(start) == 8 else (0, 0)
        if goes_on != _GOES_ON:
            raise SettingsError("it is no Arrow stream, or is damaged; write it again")
        if size == 0:
            return
        if size > limits.description_bytes:
            raise SettingsError(
                f"expected at most {limits.description_bytes} bytes to describe a message, found "
                f"{size}"
            )
        described = _exactly(file, size)
        kind, body = _described(described)
        if not 0 <= body <= limits.body_bytes:
            raise SettingsError(
                f"expected at most {limits.body_bytes} bytes in a batch of rows, found {body}; "
                "write it with fewer rows in each batch"
            )
        yield ArrowMessage(kind, start + described + _exactly(file, body))
        start = file.read(8)


def _exactly(file: Stream, size: int) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise SettingsError("it ends too early: it was cut off, or is still being written")
    return content


def _described(description: bytes) -> tuple[int, int]:
    """Return the kind of a message and the bytes of its body."""
    try:
        message = _Table(description, struct.unpack_from("<I", description)[0])
        kind = message.number(_HEADER_TYPE, "<B")
        body = message.number(_BODY, "<q")
        is_packed = kind == MessageKind.BATCH and message.table(_HEADER).has(_COMPRESSION)
    except struct.error as error:
        raise SettingsError("it is damaged where a message is described; write it again") from error
    if is_packed:
        raise SettingsError("its columns are compressed; write it without compression")
    return kind, body


class _Table:
    """A table of a flatbuffer: its fields are found by offsets before it."""

    # Owns: nothing.

    def __init__(self, content: bytes, at: int) -> None:
        self._content, self._at = content, at
        offset = struct.unpack_from("<i", content, at)[0]
        self._fields = at - offset
        if self._fields < 0:
            raise struct.error
        self._size = struct.unpack_from("<H", content, self._fields)[0]

    def _place(self, field: int) -> int:
        entry = 4 + 2 * field
        if entry + 2 > self._size:
            return 0
        offset: int = struct.unpack_from("<H", self._content, self._fields + entry)[0]
        return self._at + offset if offset else 0

    def has(self, field: int) -> bool:
        """Return whether a field is there."""
        return self._place(field) > 0

    def number(self, field: int, kind: str) -> int:
        """Return a field that is a number; zero where it is not there."""
        place = self._place(field)
        return int(struct.unpack_from(kind, self._content, place)[0]) if place else 0

    def table(self, field: int) -> "_Table":
        """Return a field that is a table."""
        place = self._place(field)
        if not place:
            raise struct.error
        return _Table(self._content, place + struct.unpack_from("<I", self._content, place)[0])
