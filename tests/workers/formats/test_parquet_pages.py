"""Sizes of Parquet's pages: the library's own sums, and nothing but sentences for other bytes."""

import io

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.formats.parquet_pages import unpacked_sizes

TEXTS = [f"folder/{number % 5000}.jpg" for number in range(30_000)]

WRITTEN: list[dict[str, object]] = [
    # how it is written
    {},
    {"compression": "none"},
    {"compression": "zstd", "use_dictionary": False, "data_page_size": 1000},
    {"compression": "gzip", "data_page_version": "2.0", "row_group_size": 7000},
    {"write_page_checksum": True, "write_page_index": True, "dictionary_pagesize_limit": 2000},
    {"use_dictionary": False, "column_encoding": {"path": "DELTA_BYTE_ARRAY"}},
]


def written(**how: object) -> bytes:
    buffer = io.BytesIO()
    table = pyarrow.table({"path": TEXTS})
    pyarrow.parquet.write_table(table, buffer, **{"compression": "snappy", **how})
    return buffer.getvalue()


@pytest.mark.parametrize("how", WRITTEN)
def test_pages_are_found_however_they_are_written(how: dict[str, object]) -> None:
    content = written(**how)
    metadata = pyarrow.parquet.ParquetFile(io.BytesIO(content)).metadata
    for index in range(metadata.num_row_groups):
        column = metadata.row_group(index).column(0)
        start = column.dictionary_page_offset or column.data_page_offset
        sizes = list(unpacked_sizes(content, start, start + column.total_compressed_size))
        # The library's sum has what precedes the pages in it, some dozens of bytes each.
        headers = column.total_uncompressed_size - sum(sizes)
        assert 10 * len(sizes) <= headers <= 200 * len(sizes)


@given(st.binary(max_size=300))
def test_of_any_bytes_pages_are_told_or_a_sentence(content: bytes) -> None:
    try:
        sizes = list(unpacked_sizes(content, 0, len(content)))
    except ValueError:
        return
    assert all(size >= 0 for size in sizes)


DEEP = b"\x1c" * 300
LONG_LIST = b"\x19\xf3\xff\xff\xff\xff\x0f"
LARGE_NUMBER = b"\x15" + b"\xff" * 20


@pytest.mark.parametrize("content", [DEEP, LONG_LIST, LARGE_NUMBER, b"\x15\x00\x15\x03\x00", b"\0"])
def test_what_is_no_header_is_said_where_it_is(content: bytes) -> None:
    with pytest.raises(ValueError, match="damaged at byte 4, where a page should begin"):
        list(unpacked_sizes(b"PAR1" + content, 4, 4 + len(content)))
