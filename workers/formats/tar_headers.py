"""Headers of tars: a member's own, and what precedes it: long names and PAX records.

`tarfile.TarInfo.frombuf` reads a block and checks its sum; everything of more than a block is read
here, from bytes that are there already, so that no header makes anybody read more than it may.
"""

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from adapters.errors import SettingsError

BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True, kw_only=True, slots=True)
class TarLimits:
    """The largest archive that is read.

    Attributes:
        members: Most members; ImageNet's training images with a label each are 2.6 million.
        size_bytes: Most bytes up to the end of the last member, as unpacked; None for any number,
            where contents are read only one by one.
        header_bytes: Most bytes of what precedes the header of one member: long names, PAX records.
            Extended attributes of file systems have up to 64 kB each.
        name_bytes: Most bytes of a name; Linux opens none that is longer.
        tail_bytes: Most zeros behind the end. Programs fill archives to 10 kB, or as they are told.
    """

    members: int = 3_000_000
    size_bytes: int | None = None
    header_bytes: int = 2**20
    name_bytes: int = 4096
    tail_bytes: int = 16 * 2**20


DEFAULT_LIMITS = TarLimits()


class Kind(Enum):
    """What a member is."""

    FILE = auto()
    FOLDER = auto()
    LINK = auto()
    OTHER = auto()  # a device, a pipe, a file with holes, or of a kind that nobody here knows


EXTENSIONS = {
    tarfile.XHDTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
_RECORD = re.compile(rb"([0-9]{1,9}) ([^=]+)=")
_FILES = {tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE}
_LINKS = {tarfile.LNKTYPE, tarfile.SYMTYPE}
WITHOUT_CONTENT = {*_LINKS, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE}


def header_of(block: bytes, at: int) -> tarfile.TarInfo:
    """Return the header in the block at byte `at`; SettingsError where there is none."""
    if len(block) < BLOCK:
        raise _no_tar(block) if at == 0 else _ended(at)
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        raise (_no_tar(block) if at == 0 else damaged(at)) from error
    if header.size < 0:
        raise damaged(at)
    return header


def kind_of(header: tarfile.TarInfo, records: dict[str, bytes]) -> Kind:
    """Return what a member is, by its header and what preceded it."""
    if header.type == tarfile.DIRTYPE:
        return Kind.FOLDER
    if header.type in _LINKS:
        return Kind.LINK
    has_holes = any(key.startswith("GNU.sparse.") for key in records)
    return Kind.FILE if header.type in _FILES and not has_holes else Kind.OTHER


def records_of(kind: bytes, content: bytes, at: int) -> dict[str, bytes]:
    """Return what precedes a member, as PAX names it."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": content.split(b"\0", 1)[0]}
    if kind == tarfile.GNUTYPE_LONGLINK:
        return {}
    records = dict(_pax(content, at))
    if kind == tarfile.XGLTYPE:
        if {"path", "size"} & records.keys():
            raise SettingsError(f"a header at byte {at} gives all members one name or one size")
        return {}
    return records


def _pax(content: bytes, at: int) -> Iterator[tuple[str, bytes]]:
    """Yield the records `LENGTH KEY=VALUE\\n` of a PAX header."""
    content, place = content.rstrip(b"\0"), 0
    while place < len(content):
        found = _RECORD.match(content, place)
        end = place + int(found[1]) if found else 0
        if found is None or end <= found.end() or content[end - 1 : end] != b"\n":
            raise damaged(at)
        yield found[2].decode("utf-8", "surrogateescape"), content[found.end() : end - 1]
        place = end


_COMPRESSED: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"PK\3\4", "ZIP"),
)


def compression_of(beginning: bytes) -> str | None:
    """Return what a file is compressed with, by how it begins; None where that is not known."""
    return next((name for start, name in _COMPRESSED if beginning.startswith(start)), None)


def _no_tar(beginning: bytes) -> SettingsError:
    compression = compression_of(beginning)
    if compression:
        return SettingsError(f"it is compressed ({compression}); decompress it")
    return SettingsError("it is empty" if not beginning else "it does not begin as a tar does")


def _ended(at: int) -> SettingsError:
    return SettingsError(
        f"it ends too early, before byte {at}, where the mark of its end is missing: it was cut "
        "off, or is still being written; copy it again"
    )


def damaged(at: int) -> SettingsError:
    """Return the error for what is no header at byte `at`."""
    return SettingsError(f"it is damaged at byte {at}, where a member should begin; copy it again")
