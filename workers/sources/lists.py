"""List source: CSV, Parquet or JSON lines with a column of paths and one of labels."""

import re
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TypeVar

from adapters.contract.counts import counted
from adapters.errors import InputError, SettingsError
from workers.formats.problems import Problems, cause_of
from workers.sources.columns import EVERYTHING, NO_COLUMNS, Selection, shown_cell
from workers.sources.csv_rows import csv_beginning, csv_rows
from workers.sources.cvat import XML, cvat_rows
from workers.sources.exported_rows import JSON, exported, exported_rows, record_columns
from workers.sources.json_rows import JSON_LINES, json_beginning, json_rows
from workers.sources.label_studio import is_studio_csv, studio_csv_rows
from workers.sources.list_files import ListedFiles
from workers.sources.parquet_rows import PARQUET, parquet_rows, parquet_schema
from workers.sources.places.image import ImageRef
from workers.sources.places.keys import what_is_wrong_with
from workers.sources.places.place import Place
from workers.sources.places.survey import Counting, What
from workers.sources.rows import MOST_PATH_BYTES, UNLABELLED, Row

_IMPOSSIBLE = re.compile("[\0\ud800-\udfff]")
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_WHOLE = re.compile(r"[0-9]{1,18}\.0{1,6}")
Labelled = TypeVar("Labelled")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def listed_images(
    place: Place, names: Sequence[str], counting: Counting, selection: Selection = EVERYTHING
) -> dict[str, tuple[ImageRef, ...]]:
    """Return the images that the lists called `names` name, by label; both are sorted.

    Args:
        place: Where the lists are.
        names: Of the lists.
        counting: Counts their rows.
        selection: What of them is read.

    Raises:
        SettingsError: one is no such list, is too large or without a row, or rows name no image or
            no class; all of these are reported.
    """
    counting.of("rows")
    listed: dict[str, dict[str, None]] = {}
    files = ListedFiles(place)
    for name in names:
        _read(place, name, listed, counting, selection, files)
    files.check(place.origin(names[0]))
    counting.use(sum(map(len, listed.values())))
    return {
        label: tuple(ImageRef(place=place, name=path) for path in sorted(paths))
        for label, paths in sorted(with_whole_numbers(listed).items())
    }


def with_whole_numbers(listed: dict[str, Labelled]) -> dict[str, Labelled]:
    """Return what has labels, of which `1.0` is `1` where all are whole numbers written so.

    Tables in which a number is missing have no whole numbers for whoever writes them.
    """
    whole = {label: label.partition(".")[0] for label in listed if _WHOLE.fullmatch(label)}
    if len(whole) < len(listed) or len(set(whole.values())) < len(listed):
        return listed
    return {whole[label]: found for label, found in listed.items()}


def _read(
    place: Place,
    name: str,
    listed: dict[str, dict[str, None]],
    counting: Counting,
    selection: Selection,
    files: ListedFiles,
) -> None:
    """Add what a list lists."""
    problems, used, without = Problems(), 0, 0
    with closing(rows_of(place, name, selection)) as rows:
        for row in rows:
            counting.see()
            if not selection.has(row.split):
                counting.pass_over(What.SPLIT, str(row.path), selection.split_of(row.split))
                continue
            if row.label is UNLABELLED:
                counting.pass_over(What.UNLABELLED, str(row.path), "rows")
                without += 1
                continue
            used += 1
            wrong = row.wrong or _add(row, place, listed, counting, files)
            if wrong:
                problems.add(f"row {row.number}: {wrong}", cause=cause_of(wrong))
    if problems:
        raise SettingsError(
            f"{counted(problems.count, 'row')} of {place.origin(name)} cannot be used:{problems}",
            problems=problems.kept,
        )
    if not used:
        of_split = "" if selection.part is None else f" of the split {selection.part!r}"
        told = (
            f"{counted(without, 'row')} without a class; give" if without else "none; add a row for"
        )
        raise SettingsError(
            f"expected a row with a path and a label{of_split} in {place.origin(name)}, found "
            f"{told} each image{' one' if without else ''}"
        )


def rows_of(place: Place, name: str, selection: Selection = EVERYTHING) -> Generator[Row]:
    """Return the rows of a list, read as they are asked for; closing them closes the file."""
    if name.lower().endswith(PARQUET):
        return parquet_rows(place, name, selection)
    if name.lower().endswith(JSON_LINES):
        return json_rows(place, name, selection)
    if name.lower().endswith(JSON):
        return exported_rows(place, name, selection)
    if name.lower().endswith(XML):
        return cvat_rows(place, name)
    if selection.columns == NO_COLUMNS and is_studio_csv(place, name):
        return studio_csv_rows(place, name)
    return csv_rows(place, name, selection)


def beginning_of(place: Place, name: str, *, rows: int) -> tuple[list[str], list[list[object]]]:
    """Return the names of the columns of a list, and its first rows; none of Parquet's.

    Raises:
        SettingsError: it cannot be read.
    """
    if name.lower().endswith(PARQUET):
        return list(parquet_schema(place, name).names), []
    if name.lower().endswith(JSON_LINES):
        found = json_beginning(place, name, rows=max(rows, 1))
        names = list(dict.fromkeys(key for each in found for key in each))
        return names, [[each.get(key) for key in names] for each in found]
    if name.lower().endswith(JSON):
        return record_columns(exported(place, name))
    if name.lower().endswith(XML):
        return [], []
    cells = csv_beginning(place, name, rows=rows)
    return (cells[0] if cells else []), [list(each) for each in cells[1:]]


def _add(
    row: Row,
    place: Place,
    listed: dict[str, dict[str, None]],
    counting: Counting,
    files: ListedFiles,
) -> str:
    """Add what a row lists; return what is wrong with it, or nothing."""
    path, label = _text(row.path), _text(row.label)
    if not (path and label):
        return (
            "expected a path and a label (text or a whole number), found "
            f"{shown_cell(row.path)} and {shown_cell(row.label)}"
        )
    wrong = "" if counting.any_key or label in listed else what_is_wrong_with(label)
    if wrong:
        return f"its label {shown_cell(label)} {wrong}"
    if wrong := _wrong_path(path):
        return wrong
    try:
        resolved, wrong = files.file(place.resolved(path))
    except InputError as error:
        return error.message
    if wrong:
        return wrong
    paths = listed.setdefault(label, {})
    if resolved in paths:
        counting.pass_over(What.REPEATED, resolved, label)
    paths[resolved] = None
    return ""


def _wrong_path(path: str) -> str:
    """Return why nothing in a place of files can be called so; empty where it can."""
    if _IMPOSSIBLE.search(path):
        return f"its path {shown_cell(path)} has a NUL, or bytes that are no UTF-8"
    if len(path.encode()) > MOST_PATH_BYTES:
        return f"its path has more than {MOST_PATH_BYTES} bytes: {shown_cell(path)}"
    if _WINDOWS.match(path):
        return (
            f"its path {shown_cell(path)} is that of a drive or a server under Windows; write "
            "where the file is from the list, as in train/1.jpg"
        )
    if _ADDRESS.match(path):
        return (
            f"its path {shown_cell(path)} is an address; write where the file is from the list, as "
            "in train/1.jpg, and put the list itself where the images are"
        )
    return ""


def _text(value: object) -> str:
    """Return a cell as text; empty for what is neither text nor a whole number."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
