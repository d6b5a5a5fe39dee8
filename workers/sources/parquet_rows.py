"""Rows of Parquet lists: what the file says of itself is checked before anything is unpacked."""

from collections.abc import Generator
from typing import Any

from adapters.errors import NotFoundError, SettingsError
from workers.sources.places import Place
from workers.sources.rows import COLUMNS, LIMITS, Row, check_columns
from workers.sources.survey import MOST_SEEN

PARQUET = ".parquet"
_AT_ONCE = 10_000


def parquet_rows(place: Place, name: str) -> Generator[Row]:
    """Yield the rows of the Parquet list called `name`, from 1.

    Raises:
        SettingsError: it is no such file, has other columns or no text in them, is too large, or
            there is no library to read it.
    """
    origin = place.origin(name)
    try:
        # Imported where a list needs it: it takes long, and few tasks have such a list.
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise SettingsError(
            f"expected the library pyarrow to read {origin}, found none; install it with `pip "
            "install pyarrow`, or give the list as CSV"
        ) from error
    try:
        content = pyarrow.BufferReader(_content(place, name))
        with ParquetFile(content) as file:
            _check(file, origin)
        content.seek(0)
        with ParquetFile(content, read_dictionary=list(COLUMNS)) as file:
            number = 0
            batches = file.iter_batches(_AT_ONCE, columns=list(COLUMNS), use_threads=False)
            for batch in batches:
                for path, label in zip(
                    *(_cells(batch, key, origin) for key in COLUMNS), strict=True
                ):
                    number += 1
                    yield Row(number, path, label)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise SettingsError(f"expected {origin} to be a Parquet file: {error}") from error


def _content(place: Place, name: str) -> bytes:
    try:
        content = place.read(name, 0, LIMITS.size_bytes + 1)
    except NotFoundError as error:
        origin = place.origin(name)
        raise SettingsError(f"{origin} cannot be read: {error.message}") from error
    if len(content) > LIMITS.size_bytes:
        raise SettingsError(
            f"expected a list of at most {LIMITS.size_bytes} bytes at {place.origin(name)}, found "
            "more"
        )
    return content


def _check(file: Any, origin: str) -> None:
    """Raise SettingsError where columns or sizes are not what a list has."""
    from pyarrow import types

    check_columns(origin, list(file.schema_arrow.names))
    for key in COLUMNS:
        kind = file.schema_arrow.field(key).type
        if types.is_nested(kind):
            raise SettingsError(
                f"expected text or whole numbers in the column {key} of {origin}, found {kind}"
            )
    metadata = file.metadata
    if metadata.num_rows > MOST_SEEN:
        raise SettingsError(
            f"expected at most {MOST_SEEN} rows in {origin}, found {metadata.num_rows}; divide it"
        )
    most = min(LIMITS.column_bytes, 2**20 + metadata.num_rows * LIMITS.cell_bytes)
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    chunks = [group.column(index) for group in groups for index in range(group.num_columns)]
    for key in COLUMNS:
        size = sum(each.total_uncompressed_size for each in chunks if each.path_in_schema == key)
        if size > most:
            raise SettingsError(
                f"expected at most {most} bytes in the column {key} of {origin}, found {size}"
            )


def _cells(batch: Any, key: str, origin: str) -> list[Any]:
    """Return the cells of a column; bytes that are no UTF-8 are surrogates in them."""
    from pyarrow import compute, large_binary, types

    column = batch.column(key)
    if not types.is_dictionary(column.type):
        cells: list[Any] = column.to_pylist()
        return cells
    # A text is unpacked once, however many rows have it, and not before it is known to be short.
    longest = compute.max(compute.binary_length(column.dictionary)).as_py() or 0
    if longest > LIMITS.cell_bytes:
        raise SettingsError(
            f"expected at most {LIMITS.cell_bytes} bytes in a cell of the column {key} of "
            f"{origin}, found {longest}"
        )
    texts = [
        None if text is None else text.decode("utf-8", "surrogateescape")
        for text in column.dictionary.cast(large_binary()).to_pylist()
    ]
    return [None if index is None else texts[index] for index in column.indices.to_pylist()]
