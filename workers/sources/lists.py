"""List source: a CSV or Parquet file with the columns path and label."""

import re
from collections.abc import Generator
from contextlib import closing

from adapters.contract.counts import counted
from adapters.errors import InputError, SettingsError
from workers.formats.problems import Problems, cause_of
from workers.sources.csv_rows import csv_rows
from workers.sources.image import ImageRef
from workers.sources.keys import what_is_wrong_with
from workers.sources.parquet_rows import PARQUET, parquet_rows
from workers.sources.places import Place
from workers.sources.rows import MOST_PATH_BYTES, Row, shown_cell
from workers.sources.survey import Counting, What

_IMPOSSIBLE = re.compile("[\0\ud800-\udfff]")
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def listed_images(place: Place, name: str, counting: Counting) -> dict[str, tuple[ImageRef, ...]]:
    """Return the images that the list called `name` names, by label; both are sorted.

    Raises:
        SettingsError: it is no such list, is too large or without a row, or rows of it name no
            image or no class; all of these are reported.
    """
    counting.of("rows")
    listed: dict[str, dict[str, None]] = {}
    problems = Problems()
    with closing(rows_of(place, name)) as rows:
        for row in rows:
            counting.see()
            wrong = row.wrong or _add(row, place, listed, counting)
            if wrong:
                problems.add(f"row {row.number}: {wrong}", cause=cause_of(wrong))
    if problems:
        raise SettingsError(
            f"{counted(problems.count, 'row')} of {place.origin(name)} cannot be used:{problems}",
            problems=problems.kept,
        )
    if not listed:
        raise SettingsError(
            f"expected a row with a path and a label in {place.origin(name)}, found none; add a "
            "row for each image"
        )
    counting.use(sum(map(len, listed.values())))
    return {
        label: tuple(ImageRef(place=place, name=path) for path in sorted(paths))
        for label, paths in sorted(listed.items())
    }


def rows_of(place: Place, name: str) -> Generator[Row]:
    """Return the rows of a list, read as they are asked for; closing them closes the file."""
    return parquet_rows(place, name) if name.lower().endswith(PARQUET) else csv_rows(place, name)


def _add(row: Row, place: Place, listed: dict[str, dict[str, None]], counting: Counting) -> str:
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
    try:
        resolved = place.resolved(path)
    except InputError as error:
        return error.message
    paths = listed.setdefault(label, {})
    if resolved in paths:
        counting.pass_over(What.REPEATED, resolved, label)
    paths[resolved] = None
    return ""


def _text(value: object) -> str:
    """Return a cell as text; empty for what is neither text nor a whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
