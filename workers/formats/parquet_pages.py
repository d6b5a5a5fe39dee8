"""Sizes of the pages of a Parquet file, by what precedes each of them in the file.

A library unpacks a page whole, copies it several times, and takes its size from the page's own
header; what the end of the file says of columns need not be so. The headers are Thrift's compact
encoding: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from collections.abc import Iterator
from typing import Any, Protocol

_BOOLEANS, _BYTE, _INTEGERS, _DOUBLE, _BINARY = (1, 2), 3, (4, 5, 6), 7, 8
_LISTS, _STRUCT = (9, 10), 12
_UNPACKED, _PACKED = 2, 3
"""Numbers of the fields of a page's header that tell its size."""
_MOST_DEPTH = 8


class Bytes(Protocol):
    """The bytes of a file, or what reads them where they are looked at."""

    def __len__(self) -> int: ...
    def __getitem__(self, at: int, /) -> int: ...


def unpacked_sizes(content: Bytes, start: int, end: int) -> Iterator[int]:
    """Yield the bytes that each page of a column takes when it is unpacked.

    Args:
        content: The file.
        start: First byte of the column's first page.
        end: Of its last page.

    Raises:
        ValueError: there is no page's header where one should be.
    """
    while start < min(end, len(content)):
        header = Thrift(content, start)
        try:
            sizes = header.sizes()
        except IndexError:  # it ends within
            sizes = {}
        unpacked, packed = sizes.get(_UNPACKED, -1), sizes.get(_PACKED, -1)
        if unpacked < 0 or packed < 0:
            raise ValueError(f"it is damaged at byte {start}, where a page should begin")
        yield unpacked
        start = header.at + packed


class Thrift:
    """A structure in Thrift's compact encoding, read from its beginning on."""

    # Owns: `at`, the byte to read next.

    def __init__(self, content: Bytes, at: int) -> None:
        self._content = content
        self.at = at

    def sizes(self) -> dict[int, int]:
        """Return the numbers in the header by their fields, after reading all of it."""
        return self._struct(depth=0)

    def values(self, *, depth: int = 0) -> dict[int, Any]:
        """Return everything in the structure by its fields: numbers, bytes, lists and structures.

        Raises:
            IndexError: it ends within, or is too deep.
        """
        if depth > _MOST_DEPTH:
            raise IndexError
        found: dict[int, Any] = {}
        field = 0
        while kind := self._byte():
            field = field + (kind >> 4) if kind >> 4 else self._number()
            found[field] = self._value(kind & 15, depth=depth)
        return found

    def _value(self, kind: int, *, depth: int) -> Any:
        if kind in _INTEGERS:
            return self._number()
        if kind == _BINARY:
            length = self._varint()
            if length > len(self._content) - self.at:
                raise IndexError
            start, self.at = self.at, self.at + length
            return bytes(self._content[at] for at in range(start, self.at))
        if kind == _STRUCT:
            return self.values(depth=depth + 1)
        if kind not in _LISTS:
            self._skip(kind, depth=depth)
            return None
        head = self._byte()
        number = head >> 4 if head >> 4 < 15 else self._varint()
        if number > len(self._content) - self.at:
            raise IndexError
        inner = _BYTE if head & 15 in _BOOLEANS else head & 15
        return [self._value(inner, depth=depth + 1) for _ in range(number)]

    def _struct(self, *, depth: int) -> dict[int, int]:
        if depth > _MOST_DEPTH:
            raise IndexError
        numbers: dict[int, int] = {}
        field = 0
        while kind := self._byte():
            field = field + (kind >> 4) if kind >> 4 else self._number()
            if kind & 15 in _INTEGERS:
                numbers[field] = self._number()
            else:
                self._skip(kind & 15, depth=depth)
        return numbers

    def _skip(self, kind: int, *, depth: int) -> None:
        if kind in _INTEGERS:
            self._number()
        elif kind == _BYTE:
            self.at += 1
        elif kind == _DOUBLE:
            self.at += 8
        elif kind == _BINARY:
            length = self._varint()
            self.at += length
        elif kind in _LISTS:
            self._skip_list(depth=depth)
        elif kind == _STRUCT:
            self._struct(depth=depth + 1)
        elif kind not in _BOOLEANS:
            raise IndexError

    def _skip_list(self, *, depth: int) -> None:
        head = self._byte()
        number = head >> 4 if head >> 4 < 15 else self._varint()
        if number > len(self._content) - self.at:
            raise IndexError
        for _ in range(number):
            self._skip(_BYTE if head & 15 in _BOOLEANS else head & 15, depth=depth + 1)

    def _number(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise IndexError

    def _byte(self) -> int:
        byte = self._content[self.at]
        self.at += 1
        return byte
