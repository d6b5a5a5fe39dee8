"""Directories of a TIFF, and of EXIF, which is one: entries by tag, read with bounds.

Pillow reads all of EXIF to learn the orientation, and raises whatever a value out of range makes of
it. Here an entry is looked at when it is asked for; what cannot be read is as if it were absent.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
"""Bytes of one value by its type."""
_WHOLE = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
"""How whole numbers without a sign are packed, by type."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One entry.

    Attributes:
        kind: The type of its values.
        count: How many it has.
        written: Its bytes in the directory.
    """

    kind: int
    count: int
    written: bytes

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return self.count * _SIZES.get(self.kind, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory:
    """One directory of a block.

    Attributes:
        block: All bytes; offsets count from its beginning.
        order: `<` or `>`.
        is_big: Whether it is BigTIFF, with 64-bit offsets.
        entries: By tag, the first one where a tag comes twice.
    """

    block: bytes
    order: str
    is_big: bool
    entries: Mapping[int, Entry]

    def numbers(self, tag: int, *, most: int = 16) -> tuple[int, ...]:
        """Return the first `most` whole numbers of an entry; none where it has or is none."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _WHOLE:
            return ()
        values = struct.iter_unpack(self.order + _WHOLE[entry.kind], self._values(entry, most))
        return tuple(value for (value,) in islice(values, most))

    def number(self, tag: int, default: int) -> int:
        """Return the first whole number of an entry."""
        return next(iter(self.numbers(tag, most=1)), default)

    def data(self, tag: int) -> bytes:
        """Return the bytes of an entry; none where it has no values of one byte each."""
        entry = self.entries.get(tag)
        if entry is None or _SIZES.get(entry.kind) != 1:
            return b""
        return self._values(entry, len(self.block))

    def with_only(self, tags: frozenset[int]) -> bytes:
        """Return the block with a directory that has no other entries, and is the last one."""
        kept = [entry.written for tag, entry in sorted(self.entries.items()) if tag in tags]
        start = len(self.block) + len(self.block) % 2
        counted, offset = ("Q", "Q") if self.is_big else ("H", "I")
        directory = (
            struct.pack(self.order + counted, len(kept))
            + b"".join(kept)
            + struct.pack(self.order + offset, 0)
        )
        at = 8 if self.is_big else 4
        head = self.block[:at] + struct.pack(self.order + offset, start)
        return head + self.block[len(head) :].ljust(start - len(head), b"\0") + directory

    def _values(self, entry: Entry, most: int) -> bytes:
        unit = _SIZES[entry.kind]
        inline = entry.written[12:] if self.is_big else entry.written[8:]
        wanted = unit * min(entry.count, most)
        if entry.size <= len(inline):
            return inline[:wanted]
        (start,) = struct.unpack(self.order + ("Q" if self.is_big else "I"), inline)
        values = self.block[start : start + wanted]
        return values[: len(values) // unit * unit]


def read_directory(block: bytes, start: int | None = None) -> Directory | None:
    """Return a directory of a TIFF or of EXIF; None where there is none.

    A directory that is cut off has the entries that are there.

    Args:
        block: All bytes, or the first ones.
        start: Where the directory is; the first one where None.
    """
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 16:
        return None
    is_big = order == "<" and block[2] == 43
    head, counted, each = ("Q", "Q", 20) if is_big else ("I", "H", 12)
    if start is None:
        (start,) = struct.unpack_from(order + head, block, 8 if is_big else 4)
    first = start + struct.calcsize(order + counted)
    if first > len(block):
        return None
    (count,) = struct.unpack_from(order + counted, block, start)
    there = min(count, (len(block) - first) // each, 2**16)
    entries: dict[int, Entry] = {}
    for at in range(first, first + there * each, each):
        tag, kind, values = struct.unpack_from(order + ("HHQ" if is_big else "HHI"), block, at)
        entry = Entry(kind=kind, count=values, written=block[at : at + each])
        entries.setdefault(tag, entry)
    return Directory(block=block, order=order, is_big=is_big, entries=entries)
