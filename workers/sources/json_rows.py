"""Rows of lists of JSON lines: an object with a path and a label on each line."""

from collections.abc import Generator
from contextlib import closing
from itertools import islice
from typing import Any

from adapters.contract.json_reading import JsonLimits, read_json
from adapters.errors import NotFoundError, SettingsError
from workers.sources.columns import EVERYTHING, Selection, columns_of, label_in
from workers.sources.places.place import Place
from workers.sources.places.survey import MOST_SEEN
from workers.sources.rows import Row, lines_of

JSON_LINES = (".jsonl", ".ndjson")
LINE = JsonLimits(depth=8, values=100_000)


def json_rows(place: Place, name: str, selection: Selection = EVERYTHING) -> Generator[Row]:
    """Yield the rows of the list of JSON lines called `name`, numbered as lines; empty ones too.

    Raises:
        SettingsError: it is too large, a line is no JSON object, or has other keys.
    """
    origin = place.origin(name)
    try:
        with closing(lines_of(place, name)) as lines:
            for number, line in enumerate(lines, start=1):
                if number > MOST_SEEN:
                    raise SettingsError(
                        f"expected at most {MOST_SEEN} lines in {origin}, found more; divide it"
                    )
                if line.strip():
                    yield _row(number, json_object(line, number, origin), selection, origin)
    except NotFoundError as error:
        raise SettingsError(f"{origin} cannot be read: {error.message}") from error


def json_beginning(place: Place, name: str, *, rows: int) -> list[dict[str, Any]]:
    """Return the objects on the first lines of the list called `name`; errors as in `json_rows`."""
    origin = place.origin(name)
    try:
        with closing(lines_of(place, name)) as lines:
            first = islice(((n, line) for n, line in enumerate(lines, 1) if line.strip()), rows)
            return [json_object(line, number, origin) for number, line in first]
    except NotFoundError as error:
        raise SettingsError(f"{origin} cannot be read: {error.message}") from error


def json_object(line: bytes, number: int, origin: str) -> dict[str, Any]:
    """Return the object on a line; SettingsError where there is none."""
    try:
        found = read_json(line, limits=LINE)
    except ValueError as error:
        raise SettingsError(
            f"expected a JSON object on each line of {origin}, found none on line {number}: {error}"
        ) from error
    if not isinstance(found, dict):
        raise SettingsError(
            f"expected a JSON object on each line of {origin}, found {type(found).__name__} on "
            f"line {number}"
        )
    return found


def _row(number: int, found: dict[str, Any], selection: Selection, origin: str) -> Row:
    names, cells = list(found), list(found.values())
    at = columns_of(f"line {number} of {origin}", names, selection, usable=_plain(found))
    label, wrong = label_in(at, cells)
    return Row(number, cells[at.path], label, wrong, None if at.split is None else cells[at.split])


def _plain(found: dict[str, Any]) -> list[str]:
    return [key for key, value in found.items() if isinstance(value, str | int)]
