"""Footer of a Parquet file: where the chunks of its columns are, and how large they unpack to.

The library ends the process where some numbers in a footer do not fit together and it is asked for
chunks one by one; here the footer is read as what it is, a structure of Thrift.
"""

from typing import Any, NamedTuple

from workers.formats.parquet_pages import Thrift

MARK = b"PAR1"
MOST_BYTES = 32 * 2**20
_ROW_GROUPS, _COLUMNS, _META = 4, 1, 3
_PATH, _VALUES, _UNPACKED, _PACKED, _DATA, _DICTIONARY = 3, 5, 6, 7, 9, 11
"""Numbers of the fields."""


class Chunk(NamedTuple):
    """A column in a group of rows.

    Attributes:
        path: Names of the column, from the outermost on.
        unpacked: Bytes that it says it unpacks to.
        start: First byte of its first page.
        end: Of its last page; `start` where it has no values.
    """

    path: tuple[str, ...]
    unpacked: int
    start: int
    end: int


def footer_place(tail: bytes, size: int) -> tuple[int, int]:
    """Return the first byte and the length of the footer.

    Args:
        tail: The last eight bytes of the file.
        size: Bytes of the file.

    Raises:
        ValueError: it does not end as such files do, or the footer is too large.
    """
    length = int.from_bytes(tail[:4], "little")
    if len(tail) < 8 or tail[4:] != MARK or length + 12 > size:
        raise ValueError("it does not end as such a file does: it was cut off, or is another one")
    if length > MOST_BYTES:
        raise ValueError(f"expected a footer of at most {MOST_BYTES} bytes, found {length}")
    return size - 8 - length, length


def chunks_of(footer: bytes) -> list[Chunk]:
    """Return all chunks that a footer names, in its order; ValueError where it is damaged."""
    try:
        groups = _list(Thrift(footer, 0).values().get(_ROW_GROUPS))
        return [_chunk(each) for group in groups for each in _list(group.get(_COLUMNS))]
    except (IndexError, AttributeError, TypeError, KeyError) as error:
        raise ValueError("its footer is damaged") from error


def _list(value: Any) -> list[dict[int, Any]]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise TypeError
    return value


def _chunk(column: dict[int, Any]) -> Chunk:
    meta = column[_META]
    path = tuple(name.decode("utf-8", "surrogateescape") for name in meta[_PATH])
    data, dictionary = meta[_DATA], meta.get(_DICTIONARY, 0)
    unpacked, packed = meta[_UNPACKED], meta[_PACKED]
    if not all(isinstance(each, int) for each in (data, dictionary, unpacked, packed)):
        raise TypeError
    start = dictionary if 0 < dictionary < data else data
    # Of a part without rows the place is a zero, and the library looks at no page there.
    return Chunk(path, unpacked, start, start + (packed if meta[_VALUES] else 0))
