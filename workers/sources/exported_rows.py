"""Rows of what tools for labelling and toolkits export: JSON of several kinds, told by its shape.

CoOp            {"train": [[path, number, class], …], "val": […], "test": […]}
FiftyOne        {"classes": [class, …], "labels": {stem: number or class, …}}, images in data/
Label Studio    [{"data": {"image": …}, "annotations": [{"result": [{"value": …}]}]}, …]
anything else   [{column: cell, …}, …], as pandas writes records
"""

from collections.abc import Generator, Mapping
from pathlib import PurePosixPath
from typing import Any

from adapters.contract.json_reading import JsonLimits, read_json
from adapters.errors import InputError, SettingsError
from workers.sources.columns import EVERYTHING, Selection, columns_of, label_in, shown_cell
from workers.sources.label_studio import is_label_studio, studio_rows
from workers.sources.list_files import base_of
from workers.sources.places.appearance import is_image
from workers.sources.places.place import EntryKind, Place
from workers.sources.places.survey import MOST_SEEN
from workers.sources.rows import LIMITS, UNLABELLED, Row

JSON = (".json",)
_LIMITS = JsonLimits(depth=32, values=20_000_000)
EXPECTED = (
    "a split file of CoOp, labels of FiftyOne, an export of Label Studio, or a list of objects "
    "with a path and a label"
)


def exported_rows(place: Place, name: str, selection: Selection = EVERYTHING) -> Generator[Row]:
    """Yield the rows of a JSON file, numbered from 1.

    Raises:
        SettingsError: it is too large, no JSON, or of no kind that is read.
    """
    found = exported(place, name)
    if is_coop(found):
        yield from _coop_rows(place, found, selection)
    elif is_fiftyone(found):
        yield from _fiftyone_rows(place, found)
    elif is_label_studio(found):
        yield from studio_rows(place, found)
    elif _is_records(found):
        yield from _record_rows(found, selection, place.origin(name))
    else:
        raise SettingsError(
            f"expected {EXPECTED} in {place.origin(name)}, found {_told(found)}; {_instead(found)}"
        )


def exported(place: Place, name: str) -> Any:
    """Return what a JSON file says; SettingsError where it is none, or too large."""
    origin = place.origin(name)
    try:
        content = place.read(name, 0, LIMITS.size_bytes + 1)
    except InputError as error:
        raise SettingsError(f"{origin} cannot be read: {error.message}") from error
    if len(content) > LIMITS.size_bytes:
        raise SettingsError(
            f"expected at most {LIMITS.size_bytes} bytes in {origin}, found more; divide it"
        )
    try:
        return read_json(content, limits=_LIMITS)
    except ValueError as error:
        raise SettingsError(f"expected {origin} to be JSON: {error}") from error


def is_coop(found: Any) -> bool:
    """Return whether JSON is a split file of CoOp."""
    return (
        isinstance(found, dict)
        and bool(found)
        and all(isinstance(rows, list) for rows in found.values())
        and all(isinstance(row, list) for rows in found.values() for row in rows[:1])
        and any(found.values())
    )


def is_fiftyone(found: Any) -> bool:
    """Return whether JSON has the labels of a data set of FiftyOne."""
    return isinstance(found, dict) and isinstance(found.get("labels"), dict)


def _is_records(found: Any) -> bool:
    return isinstance(found, list) and bool(found) and all(isinstance(row, dict) for row in found)


def record_columns(found: Any) -> tuple[list[str], list[list[object]]]:
    """Return the columns of JSON records and their first rows; none where there are none."""
    if not _is_records(found) or is_label_studio(found):
        return [], []
    names = list(dict.fromkeys(key for row in found[:100] for key in row))
    return names, [[row.get(name) for name in names] for row in found[:100]]


def _record_rows(found: list[dict[str, Any]], selection: Selection, origin: str) -> Generator[Row]:
    for number, record in enumerate(found, start=1):
        names, cells = list(record), list(record.values())
        at = columns_of(f"object {number} of {origin}", names, selection, usable=names)
        label, wrong = label_in(at, cells)
        split = None if at.split is None else cells[at.split]
        yield Row(number, cells[at.path], label, wrong, split)


def _coop_rows(place: Place, found: dict[str, list[Any]], selection: Selection) -> Generator[Row]:
    chosen = (rows for split, rows in found.items() if selection.has(split))
    paths = (row[0] for rows in chosen for row in rows if isinstance(row, list) and row)
    first = next((path for path in paths if isinstance(path, str)), "")
    base = base_of(place, first)
    number = 0
    for split, rows in found.items():
        for row in rows:
            number += 1
            if not (isinstance(row, list) and len(row) >= 2 and isinstance(row[0], str)):
                wrong = f"expected a path, a number and a class, found {shown_cell(row)}"
                yield Row(number, None, None, wrong, split)
                continue
            label = row[2] if len(row) > 2 else row[1]
            yield Row(number, f"{base}{row[0]}", label, "", split)


def _fiftyone_rows(place: Place, found: dict[str, Any]) -> Generator[Row]:
    classes = found.get("classes")
    names = classes if isinstance(classes, list) else []
    files = _files_by_stem(place)
    for number, (stem, value) in enumerate(found["labels"].items(), start=1):
        label = value.get("label") if isinstance(value, dict) else value
        path, *others = files.get(stem, [None])
        if label is None:
            yield Row(number, path or stem, UNLABELLED)
        elif others:
            wrong = f"expected one image called {shown_cell(stem)}, found {path} and {others[0]}"
            yield Row(number, path, None, wrong)
        elif path is None:
            wrong = f"expected an image called {shown_cell(stem)} in the folder data, found none"
            yield Row(number, stem, label, wrong)
        else:
            yield Row(number, path, *_fiftyone_label(label, names))


def _fiftyone_label(label: object, names: list[Any]) -> tuple[object, str]:
    if isinstance(label, list):
        if len(label) == 1:
            return _fiftyone_label(label[0], names)
        return None, f"expected one class, found {len(label)}"
    if isinstance(label, int) and not isinstance(label, bool) and names:
        if 0 <= label < len(names):
            return names[label], ""
        return None, f"its label {label} is outside of the {len(names)} classes of the file"
    return label, ""


def _files_by_stem(place: Place) -> Mapping[str, list[str]]:
    """Return the images of a data set of FiftyOne by their names without an ending.

    What else is called like an image lies beside it, as what describes it does.
    """
    found: dict[str, list[str]] = {}
    for count, entry in enumerate(place.entries()):
        if count > MOST_SEEN:
            break
        path = PurePosixPath(entry.name)
        if entry.kind is EntryKind.FILE and path.parts[0] == "data":
            found.setdefault(str(path.relative_to("data").with_suffix("")), []).append(entry.name)
    return {
        stem: [each for each in names if is_image(each)] or names for stem, names in found.items()
    }


def _instead(found: Any) -> str:
    """Return what to do about JSON of no kind that is read."""
    if isinstance(found, dict) and {"images", "annotations"} <= found.keys():
        return (
            "COCO says what is where in pictures, and here each image has one class: cut the boxes "
            "out, into a folder for each class, or make a list with the columns path and label"
        )
    return "export it anew, or make a list with the columns path and label"


def _told(found: Any) -> str:
    if isinstance(found, dict):
        return f"an object with {', '.join(map(shown_cell, list(found)[:5])) or 'nothing'}"
    if isinstance(found, list):
        return "an empty list" if not found else f"a list of {type(found[0]).__name__}"
    return type(found).__name__
