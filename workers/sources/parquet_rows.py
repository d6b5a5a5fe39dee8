"""Rows of Parquet lists: what the file says of itself is checked before anything is unpacked."""

from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from adapters.errors import NotFoundError, SettingsError
from workers.formats.parquet_footer import Chunk, chunks_of, footer_place
from workers.formats.parquet_pages import Bytes, unpacked_sizes
from workers.sources.columns import EVERYTHING, Chosen, Selection, columns_of, label_in
from workers.sources.places.place import Place
from workers.sources.places.survey import MOST_SEEN
from workers.sources.rows import LIMITS, Row

PARQUET = ".parquet"
IMAGE_PAGE_BYTES = 2**29
"""Most bytes of a page of images: programs write up to a thousand rows in one."""
_AT_ONCE, _IMAGES_AT_ONCE = 10_000, 16
_BLOCK_BYTES = 2**16


def parquet_schema(place: Place, name: str) -> Any:
    """Return the schema of a Parquet file of any size; SettingsError where it cannot be read."""
    origin = place.origin(name)
    pyarrow, parquet_file = _library(origin)
    try:
        with _source(place, name) as source, parquet_file(source) as file:
            return file.schema_arrow
    except NotFoundError as error:
        raise SettingsError(f"{origin} cannot be read: {error.message}") from error
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise SettingsError(f"expected {origin} to be a Parquet file: {error}") from error


def parquet_batches(place: Place, name: str, *, image: str, short: Sequence[str]) -> Generator[Any]:
    """Yield rows of a Parquet file that holds images, a few at once, with the wanted columns.

    Args:
        place: Where it is.
        name: Of the file.
        image: The column of images.
        short: Columns of labels and splits.

    Raises:
        SettingsError: it is damaged, has lists for labels, or a page or a cell of it is too large.
    """
    origin = place.origin(name)
    pyarrow, parquet_file = _library(origin)
    try:
        content = _Blocks(place, name)
        size = len(content)
        start, length = footer_place(place.read(name, max(0, size - 8), 8), size)
        chunks = chunks_of(place.read(name, start, length))
        with _source(place, name) as source, parquet_file(source) as file:
            _check_short(file.schema_arrow, short, origin)
            _check_rows(file, origin)
            _check_pages(chunks, content, [image], origin, most=IMAGE_PAGE_BYTES)
            _check_pages(chunks, content, short, origin)
        read = {"read_dictionary": list(short), "buffer_size": 2**20}
        with _source(place, name) as source, parquet_file(source, **read) as file:
            columns = [image, *short]
            for batch in file.iter_batches(_IMAGES_AT_ONCE, columns=columns, use_threads=False):
                for key in short:
                    _check_cells(batch.column(key), key, origin)
                yield batch
    except NotFoundError as error:
        raise SettingsError(f"{origin} cannot be read: {error.message}") from error
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise SettingsError(f"expected {origin} to be a Parquet file: {error}") from error


class _Blocks:
    """The bytes of a file, of which a block is read where one of its bytes is looked at."""

    # Owns: the last block.

    def __init__(self, place: Place, name: str) -> None:
        self._place, self._name = place, name
        self._size = place.size(name)
        self._start, self._block = 0, b""

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, at: int) -> int:
        if not 0 <= at < self._size:
            raise IndexError
        if not self._start <= at < self._start + len(self._block):
            self._start = at
            self._block = self._place.read(self._name, at, _BLOCK_BYTES)
        return self._block[at - self._start]


@contextmanager
def _source(place: Place, name: str) -> Iterator[Any]:
    """Give a file of a place as the library reads it."""
    import pyarrow

    with closing(place.opened(name)) as file:
        yield pyarrow.PythonFile(file, mode="r")


def parquet_rows(place: Place, name: str, selection: Selection = EVERYTHING) -> Generator[Row]:
    """Yield the rows of the Parquet list called `name`, from 1.

    Raises:
        SettingsError: it is no such file, has other columns or no text in them, or is too large.
    """
    origin = place.origin(name)
    pyarrow, parquet_file = _library(origin)
    try:
        content = _content(place, name)
        with parquet_file(pyarrow.BufferReader(content)) as file:
            chosen = _columns(file.schema_arrow, origin, selection)
            names = list(file.schema_arrow.names)
            keys = [names[place] for place in chosen.places()]
            at = _within(chosen)
            start, length = footer_place(content[-8:], len(content))
            chunks = chunks_of(content[start : start + length])
            _check(file, chunks, keys, origin)
            _check_pages(chunks, content, keys, origin)
        with parquet_file(pyarrow.BufferReader(content), read_dictionary=keys) as file:
            number = 0
            for batch in file.iter_batches(_AT_ONCE, columns=keys, use_threads=False):
                for cells in zip(*(_cells(batch, key, origin) for key in keys), strict=True):
                    number += 1
                    label, wrong = label_in(at, cells)
                    split = None if at.split is None else cells[at.split]
                    yield Row(number, cells[at.path], label, wrong, split)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise SettingsError(f"expected {origin} to be a Parquet file: {error}") from error


def _library(origin: str) -> tuple[Any, Any]:
    """Return pyarrow and what reads Parquet; SettingsError where they are not there."""
    try:
        # Imported where a list needs it: it takes long, and few tasks have such a list.
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise SettingsError(
            f"expected the library pyarrow to read {origin}, found none; install it with `pip "
            "install pyarrow`, or give the list as CSV"
        ) from error
    return pyarrow, ParquetFile


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


def _within(chosen: Chosen) -> Chosen:
    """Return where what is wanted stands in rows that have nothing else."""
    order = {place: number for number, place in enumerate(chosen.places())}
    return Chosen(
        order[chosen.path],
        None if chosen.label is None else order[chosen.label],
        tuple((order[place], name) for place, name in chosen.one_hot),
        None if chosen.split is None else order[chosen.split],
    )


def _columns(schema: Any, origin: str, selection: Selection) -> Chosen:
    """Return where the wanted columns are; SettingsError where they are not there."""
    names = list(schema.names)
    short = [field.name for field in schema if _is_short(field.type)]
    chosen = columns_of(origin, names, selection, usable=short)
    _check_short(schema, [names[place] for place in chosen.places()], origin)
    return chosen


def _check_short(schema: Any, keys: Sequence[str], origin: str) -> None:
    """Raise SettingsError where a column has lists, or else what no text or number is."""
    for key in keys:
        kind = schema.field(key).type
        if not _is_short(kind):
            raise SettingsError(
                f"expected text or whole numbers in the column {key} of {origin}, found {kind}; "
                "write it as text"
            )


def _check(file: Any, chunks: Sequence[Chunk], keys: list[str], origin: str) -> None:
    """Raise SettingsError where sizes are not what a list has."""
    _check_rows(file, origin)
    most = min(LIMITS.column_bytes, 2**20 + file.metadata.num_rows * LIMITS.cell_bytes)
    for key in keys:
        size = sum(each.unpacked for each in chunks if each.path == (key,))
        if size > most:
            raise SettingsError(
                f"expected at most {most} bytes in the column {key} of {origin}, found {size}"
            )


def _check_rows(file: Any, origin: str) -> None:
    """Raise SettingsError where there are more rows than a source may have."""
    rows = file.metadata.num_rows
    if rows > MOST_SEEN:
        raise SettingsError(
            f"expected at most {MOST_SEEN} rows in {origin}, found {rows}; divide it"
        )


def _check_pages(
    chunks: Sequence[Chunk],
    content: Bytes,
    keys: Collection[str],
    origin: str,
    *,
    most: int = LIMITS.page_bytes,
) -> None:
    """Raise SettingsError where a page of the columns is larger than any program writes them."""
    for chunk in (each for each in chunks if each.path[:1] and each.path[0] in keys):
        for size in unpacked_sizes(content, chunk.start, chunk.end):
            if size > most:
                raise SettingsError(
                    f"expected pages of at most {most} bytes in the column {chunk.path[0]} of "
                    f"{origin}, found one of {size}; write it with smaller row groups"
                )


def _is_short(kind: Any) -> bool:
    """Return whether a column's cells are short however the file packs them, or can be checked."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    others = (types.is_binary, types.is_large_binary, types.is_binary_view)
    numbers = (types.is_primitive, types.is_null, types.is_decimal)
    return any(is_one(kind) for is_one in (*texts, *others, *numbers))


def _cells(batch: Any, key: str, origin: str) -> list[Any]:
    """Return the cells of a column; bytes that are no UTF-8 are surrogates in them."""
    from pyarrow import large_binary, types

    column = batch.column(key)
    if not types.is_dictionary(column.type) or types.is_primitive(column.type.value_type):
        cells: list[Any] = column.to_pylist()
        return cells
    # A text is unpacked once a batch, however many rows have it, and not before all are short.
    _check_cells(column, key, origin)
    wanted = column.indices.unique().drop_null()
    found = column.dictionary.take(wanted).cast(large_binary()).to_pylist()
    texts = {
        index: None if text is None else text.decode("utf-8", "surrogateescape")
        for index, text in zip(wanted.to_pylist(), found, strict=True)
    }
    return [texts.get(index) for index in column.indices.to_pylist()]


def _check_cells(column: Any, key: str, origin: str) -> None:
    """Raise SettingsError where a text in a column is longer than any class or path."""
    from pyarrow import compute, types

    if not types.is_dictionary(column.type) or types.is_primitive(column.type.value_type):
        return
    longest = compute.max(compute.binary_length(column.dictionary)).as_py() or 0
    if longest > LIMITS.cell_bytes:
        raise SettingsError(
            f"expected at most {LIMITS.cell_bytes} bytes in a cell of the column {key} of "
            f"{origin}, found {longest}"
        )
