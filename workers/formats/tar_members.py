"""Tar reading within bounds: members one by one, nothing unpacked, nothing taken for the end.

The standard library reads what precedes a member, its long name or its PAX header, whole and of any
size, and takes whatever is no header for the end. Here these headers are bounded before they are
read, and an archive has to say where it ends: a header that is damaged, bytes behind the end and an
end that is missing are errors, so that half an archive is never taken for a whole one.
"""

import tarfile
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Protocol

from adapters.errors import SettingsError
from workers.formats.tar_headers import (
    BLOCK,
    DEFAULT_LIMITS,
    EXTENSIONS,
    WITHOUT_CONTENT,
    Kind,
    TarLimits,
    damaged,
    header_of,
    kind_of,
    records_of,
)

PIECE_BYTES = 2**20
"""What is skipped or looked at is read in pieces of this size."""


class Readable(Protocol):
    """What an archive is read from."""

    def read(self, size: int, /) -> bytes:
        """Return up to so many bytes, fewer only at the end."""

    def seek(self, offset: int, /) -> int:
        """Go to a place; called of what is seekable alone."""

    def seekable(self) -> bool:
        """Return whether there is a way but to read on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TarMember:
    """One member of an archive.

    Attributes:
        name: As the archive gives it; bytes that are no UTF-8 are surrogates.
        kind: What it is.
        start: First byte of its content in the archive.
        size: Bytes of its content.
        part: Which of archives that are joined has it.
    """

    name: str
    kind: Kind
    start: int
    size: int
    part: int = 0
    _stream: "_Stream" = field(repr=False, compare=False)

    def read(self, length: int) -> bytes:
        """Return up to `length` further bytes of the content; only until the next member is asked.

        Raises:
            SettingsError: the archive ends within them.
        """
        left = self.start + self.size - self._stream.position
        return self._stream.exactly(max(0, min(length, left)))


def bounded_members(
    file: Readable, *, limits: TarLimits = DEFAULT_LIMITS, joined: bool = False
) -> Generator[TarMember]:
    """Yield the members of an uncompressed tar, in their order.

    Args:
        file: The archive, at its beginning.
        limits: What is too large.
        joined: Whether further archives may follow, each right behind the end of the one before.

    Raises:
        SettingsError: it is no tar, damaged, cut off, or over a limit; the message is the reason
            alone, for whoever knows the name of the archive.
    """
    stream = _Stream(file, limits)
    part = begin = 0
    for _ in range(limits.members + 1):
        member = _next_member(stream, limits, part)
        if member is None:
            following = _next_archive(stream, begin) if joined else None
            if following is None:
                _check_tail(stream, limits)
                return
            stream.skip_to(following)
            part, begin = part + 1, following
            continue
        content_end = member.start + -(-member.size // BLOCK) * BLOCK
        if limits.size_bytes is not None and content_end > limits.size_bytes:
            raise SettingsError(f"expected at most {limits.size_bytes} bytes in it, found more")
        yield member
        stream.skip_to(content_end)
    raise SettingsError(f"expected at most {limits.members} members in it, found more")


class _Stream:
    """An archive and the place up to which it has been read.

    Attributes:
        position: Of the next byte.
    """

    # Owns: `position`.

    def __init__(self, file: Readable, limits: TarLimits) -> None:
        self.position = 0
        self._file = file
        self._most = limits.size_bytes

    @property
    def seekable(self) -> bool:
        """Whether there is a way but to read on."""
        return self._file.seekable()

    def upto(self, length: int) -> bytes:
        """Return so many bytes, or fewer where the archive ends."""
        pieces = []
        while length > 0:
            piece = self._file.read(min(length, PIECE_BYTES))
            if not piece:
                break
            self.position += len(piece)
            length -= len(piece)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def exactly(self, length: int) -> bytes:
        """Return so many bytes."""
        content = self.upto(length)
        if len(content) < length:
            raise self.cut_off()
        return content

    def skip_to(self, position: int) -> None:
        """Go on to a place."""
        if self._file.seekable():
            if position != self.position:
                self._file.seek(position)
                self.position = position
            return
        while self.position < position:
            self.exactly(min(PIECE_BYTES, position - self.position))

    def cut_off(self) -> SettingsError:
        """Return the error for an archive that ends here."""
        return SettingsError(
            f"it ends too early, at byte {self.position}: it was cut off, or is still being "
            "written; copy it again"
        )


def _next_archive(stream: _Stream, begin: int) -> int | None:
    """Return where the next of joined archives begins; None where none does.

    Programs end an archive with two blocks of zeros and some fill it up to a record. Zeros of
    another length are a hole: what should be there would be missing.
    """
    end = stream.position - BLOCK
    filled = begin + -(-(end + 2 * BLOCK - begin) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE
    if not stream.seekable:
        return None
    for place in (end + 2 * BLOCK, filled):
        stream.skip_to(end)
        if any(stream.upto(place - end)):
            break
        block = stream.upto(BLOCK)
        if len(block) == BLOCK and any(block) and _is_header(block):
            return place
    stream.skip_to(end + BLOCK)
    return None


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def _next_member(stream: _Stream, limits: TarLimits, part: int) -> TarMember | None:
    """Return the next member; None at the mark of the end, of which a block has been read."""
    records: dict[str, bytes] = {}
    before = 0
    while True:
        at = stream.position
        block = stream.upto(BLOCK)
        if not any(block) and len(block) == BLOCK:
            if before:
                raise damaged(at)
            return None
        header = header_of(block, at)
        if header.type not in EXTENSIONS:
            return _member(header, records, stream, limits, part)
        before += BLOCK + header.size
        if before > limits.header_bytes:
            raise SettingsError(
                f"expected at most {limits.header_bytes} bytes of names and attributes of one "
                f"member, found more at byte {at}"
            )
        content = stream.exactly(-(-header.size // BLOCK) * BLOCK)[: header.size]
        records |= records_of(header.type, content, at)


def _member(
    header: tarfile.TarInfo,
    records: dict[str, bytes],
    stream: _Stream,
    limits: TarLimits,
    part: int,
) -> TarMember:
    """Return the member that a header and what preceded it describe."""
    at = stream.position
    encoded = records.get("path", header.name.encode("utf-8", "surrogateescape"))
    if len(encoded) > limits.name_bytes or b"\0" in encoded:
        raise SettingsError(
            f"expected a name of at most {limits.name_bytes} bytes without a NUL before byte {at}, "
            f"found {len(encoded)} bytes: {encoded[:40]!r}"
        )
    size = header.size
    if "size" in records:
        if not records["size"].isdigit() or len(records["size"]) > 18:
            raise damaged(at)
        size = int(records["size"])
    if size >= 2**62:
        raise damaged(at)
    return TarMember(
        name=encoded.decode("utf-8", "surrogateescape"),
        kind=kind_of(header, records),
        start=at,
        size=0 if header.type in WITHOUT_CONTENT else size,
        part=part,
        _stream=stream,
    )


def _check_tail(stream: _Stream, limits: TarLimits) -> None:
    """Raise an error where there is more behind the mark of the end than zeros."""
    end = stream.position
    while piece := stream.upto(PIECE_BYTES):
        zeros = len(piece) - len(piece.lstrip(b"\0"))
        if zeros < len(piece):
            block = piece[zeros // BLOCK * BLOCK :][:BLOCK]
            raise _more_behind(block, stream.position - len(piece) + zeros)
        if stream.position - end > limits.tail_bytes:
            raise SettingsError(
                f"expected its end at byte {end}, found more than {limits.tail_bytes} zeros there"
            )


def _more_behind(block: bytes, first: int) -> SettingsError:
    if not _is_header(block):
        return SettingsError(
            f"bytes of something else follow the mark of its end, at byte {first}: it is damaged, "
            "or something was put behind it; copy it again"
        )
    return SettingsError(
        f"further members follow the mark of its end, at byte {first}: archives were put one "
        "behind another, or a member between them is damaged; join archives with `tar "
        "--concatenate`"
    )
