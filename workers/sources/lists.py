"""List source: a CSV or Parquet file with the columns path and label."""

import csv
import io
from collections.abc import Iterator
from typing import NamedTuple

from adapters.errors import InputError, SettingsError
from workers.formats.problems import shown
from workers.sources.image import ImageRef
from workers.sources.places import Place

COLUMNS = ("path", "label")
PARQUET = ".parquet"


class Row(NamedTuple):
    """One row as it was found; its number is what a person counts."""

    number: int
    path: object
    label: object


def listed_images(place: Place, name: str) -> dict[str, tuple[ImageRef, ...]]:
    """Return the images that the list called `name` names, by label; both are sorted.

    Raises:
        SettingsError: it is no such list, or rows of it name no image or no class; all of them
            are reported.
    """
    listed: dict[str, list[str]] = {}
    problems = []
    for row in _parquet_rows(place, name) if is_parquet(name) else _csv_rows(place, name):
        path, label = _text(row.path), _text(row.label)
        if not (path and label):
            problems.append(
                f"row {row.number}: expected a path and a label (text or a whole number), found "
                f"{row.path!r} and {row.label!r}"
            )
            continue
        try:
            listed.setdefault(label, []).append(place.resolved(path))
        except InputError as error:
            problems.append(f"row {row.number}: {error.message}")
    if problems:
        raise SettingsError(
            f"{len(problems)} rows of {place.origin(name)} cannot be used:{shown(problems)}",
            problems=tuple(problems),
        )
    return {
        label: tuple(ImageRef(place=place, name=path) for path in sorted(paths))
        for label, paths in sorted(listed.items())
    }


def is_parquet(name: str) -> bool:
    """Return whether a file's extension is that of a Parquet list."""
    return name.lower().endswith(PARQUET)


def _text(value: object) -> str:
    """Return a cell as text; empty for what is neither text nor a whole number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _csv_rows(place: Place, name: str) -> Iterator[Row]:
    try:
        # Spreadsheets put a byte-order mark at the beginning.
        text = io.StringIO(place.read(name).decode("utf-8-sig"), newline="")
        reader = csv.DictReader(text)
        _check_columns(place, name, list(reader.fieldnames or ()))
        for number, row in enumerate(reader, start=2):
            yield Row(number, row["path"], row["label"])
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(
            f"expected {place.origin(name)} to be a CSV list in UTF-8: {error}"
        ) from error


def _parquet_rows(place: Place, name: str) -> Iterator[Row]:
    try:
        # Imported where a list needs it: it takes long, and few tasks have such a list.
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise SettingsError(
            f"expected the library pyarrow to read {place.origin(name)}, found none; install it "
            "with `pip install pyarrow`, or give the list as CSV"
        ) from error
    try:
        file = ParquetFile(io.BytesIO(place.read(name)))
        _check_columns(place, name, file.schema_arrow.names)
        number = 0
        for batch in file.iter_batches(columns=list(COLUMNS)):
            for path, label in zip(
                *(batch.column(key).to_pylist() for key in COLUMNS), strict=True
            ):
                number += 1
                yield Row(number, path, label)
    except ArrowException as error:
        raise SettingsError(
            f"expected {place.origin(name)} to be a Parquet file: {error}"
        ) from error


def _check_columns(place: Place, name: str, found: list[str]) -> None:
    if not set(COLUMNS) <= set(found):
        raise SettingsError(
            f"expected the columns path and label in {place.origin(name)}, found {found}"
        )
