"""Rows of CSV lists, read line by line."""

import csv
import io
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import chain, islice

from adapters.errors import NotFoundError, SettingsError
from workers.formats.tar_headers import compression_of
from workers.sources.columns import (
    EVERYTHING,
    NAMELESS,
    Chosen,
    Selection,
    columns_of,
    is_nameless,
    label_in,
    shown_cell,
)
from workers.sources.places.place import Place
from workers.sources.places.survey import MOST_SEEN
from workers.sources.rows import LIMITS, MOST_LINE, Row, too_long

_READ_AHEAD = 2**20
# A cell may be as long as a line, as captions and descriptions are.
csv.field_size_limit(MOST_LINE)
_BYTES = re.compile("[\udc80-\udcff]")
_SEPARATORS = (",", ";", "\t", "|")
_EXCEL = re.compile(r"sep=([^\w\s\"\0]|\t)\r?\n?", re.IGNORECASE)
"""What Excel writes before everything else to say how cells are separated; it counts no row."""


def csv_rows(place: Place, name: str, selection: Selection = EVERYTHING) -> Generator[Row]:
    """Yield the rows of the CSV list called `name`, numbered as spreadsheets number them.

    Empty rows are numbered and give nothing. Bytes that are no UTF-8 are surrogates in the cells.
    Cells are separated by commas, or by what else the first row shows; blanks around them do not
    count.

    Raises:
        SettingsError: it is no CSV file, has other columns, or is too large.
    """
    origin, number = place.origin(name), 0
    try:
        with closing(_text(place, name)) as text:
            records = _records(_lines(text, origin), selection)
            header: list[str] | None = None
            for number, cells in enumerate(records, start=1):
                if number > MOST_SEEN + 1:
                    raise SettingsError(
                        f"expected at most {MOST_SEEN} rows in {origin}, found more; divide it"
                    )
                if not any(cell.strip() for cell in cells):  # as spreadsheets leave them
                    continue
                if header is None:
                    has_names = not is_nameless(cells, selection)
                    header = cells if has_names else list(NAMELESS)
                    at = columns_of(origin, header, selection)
                    places = at.places()
                    if has_names:
                        continue
                yield _row(number, cells, len(header), at, places)
            if header is None:
                columns_of(origin, [], selection)
    except csv.Error as error:
        raise SettingsError(
            f"expected {origin} to be a CSV list: row {number + 1} cannot be read ({error}); look "
            "for a quotation mark that is not closed, or not doubled inside a cell"
        ) from error
    except NotFoundError as error:
        raise SettingsError(f"{origin} cannot be read: {error.message}") from error


def csv_records(place: Place, name: str) -> Generator[tuple[int, dict[str, str]]]:
    """Yield the rows of the CSV list called `name` with their numbers, by the names of columns.

    Raises:
        SettingsError: it is no CSV file, or is too large.
    """
    header: list[str] | None = None
    with _told(place, name), closing(_text(place, name)) as text:
        lines = _lines(text, place.origin(name))
        for number, cells in enumerate(_records(lines, EVERYTHING), start=1):
            if number > MOST_SEEN + 1:
                raise SettingsError(f"expected at most {MOST_SEEN} rows in {place.origin(name)}")
            if header is None:
                header = [cell.strip() for cell in cells]
            elif any(cells):
                yield number, dict(zip(header, cells, strict=False))


@contextmanager
def _told(place: Place, name: str) -> Iterator[None]:
    """Say what is wrong with a list that cannot be read."""
    origin = place.origin(name)
    try:
        yield
    except csv.Error as error:
        raise SettingsError(f"expected {origin} to be a CSV list: {error}") from error
    except NotFoundError as error:
        raise SettingsError(f"{origin} cannot be read: {error.message}") from error


def csv_beginning(place: Place, name: str, *, rows: int) -> list[list[str]]:
    """Return the header of the CSV list called `name` and its first `rows`; empty ones are left.

    Raises:
        SettingsError: it cannot be read as CSV.
    """
    with _told(place, name), closing(_text(place, name)) as text:
        records = _records(_lines(text, place.origin(name)), EVERYTHING)
        return list(islice((cells for cells in records if any(map(str.strip, cells))), rows + 1))


def _records(lines: Iterator[str], selection: Selection) -> Iterator[list[str]]:
    """Return the rows of a file; the first line that is not empty shows how cells are separated."""
    before: list[str] = []
    for line in lines:
        told = _EXCEL.fullmatch(line)
        if told and not before:
            return _parsed(lines, told[1])
        before.append(line)
        if line.strip():
            break
    first = before[-1] if before else ""
    separator = _separator_of(first, selection)
    if separator not in first and is_nameless(_at_blank(first), selection):
        return (_at_blank(line) for line in chain(before, lines))
    return _parsed(chain(before, lines), separator)


def _at_blank(line: str) -> list[str]:
    """Return the cells of a line that has a path and, behind the last blank, a label."""
    return line.rsplit(maxsplit=1)


def _parsed(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    return csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)


def _separator_of(header: str, selection: Selection) -> str:
    """Return what separates the columns in the first row; a comma where nothing else does."""
    wanted = [name.strip().casefold() for name in selection.wanted()]
    for separator in _SEPARATORS:
        names = [cell.strip(' \t\r\n"').casefold() for cell in header.split(separator)]
        if len(wanted) > 1 and all(names.count(column) == 1 for column in wanted):
            return separator
    # Columns are missing; cells are told apart by what there is most of.
    return max(_SEPARATORS, key=header.count)


def _text(place: Place, name: str) -> io.TextIOWrapper:
    with ExitStack() as unless_read:
        file = unless_read.enter_context(io.BufferedReader(place.opened(name), _READ_AHEAD))
        found = _other_format(file.peek(8)[:8])
        if found:
            raise SettingsError(
                f"expected {place.origin(name)} to be a CSV list in UTF-8, found {found}; save it "
                "as CSV in UTF-8"
            )
        unless_read.pop_all()
    # Spreadsheets put a byte-order mark at the beginning.
    return io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")


def _other_format(beginning: bytes) -> str:
    """Return what a file is that is no CSV in UTF-8, by how it begins; empty where it may be."""
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    compression = compression_of(beginning)
    return "a spreadsheet or an archive" if compression == "ZIP" else compression or ""


def _row(number: int, cells: list[str], columns: int, at: Chosen, places: tuple[int, ...]) -> Row:
    if any(cell.strip() for cell in cells[columns:]):  # spreadsheets fill rows up with empty cells
        wrong = f"expected {columns} cells, found {len(cells)}; quote those that hold a separator"
        return Row(number, None, None, wrong)
    found = [cell.strip() for cell in cells]
    for place in places:
        if place < len(found) and _BYTES.search(found[place]):
            wrong = (
                f"{shown_cell(found[place])} has bytes that are no UTF-8; save the list as UTF-8 "
                "(`iconv -f latin1 -t utf8`, where it comes from an old program)"
            )
            return Row(number, None, None, wrong)
    path = found[at.path] if at.path < len(found) else None
    split = found[at.split] if at.split is not None and at.split < len(found) else None
    label, wrong = label_in(at, found)
    return Row(number, path, label, wrong, split)


def _lines(text: io.TextIOWrapper, origin: str) -> Iterator[str]:
    """Yield the lines of a file, none of which is read beyond a limit."""
    size = 0
    while line := text.readline(MOST_LINE):
        size += len(line)
        if size > LIMITS.size_bytes or len(line) == MOST_LINE:
            raise too_long(origin)
        yield line
