"""Rows of exports of Label Studio: JSON, JSON-MIN and CSV with one choice for each image.

Images are named as the server has them; they are looked for beside the export, with and without
the eight digits that the server puts before a name.
"""

import re
from collections.abc import Generator, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from adapters.contract.json_reading import read_json
from workers.sources.columns import shown_cell
from workers.sources.csv_rows import csv_beginning, csv_records
from workers.sources.places.place import Place
from workers.sources.rows import UNLABELLED, Row

CHOICE = "choice"
_STORED = re.compile(r"[0-9a-f]{8}-(.+)")
_FOLDERS = ("", "images/", "media/", "upload/", "media/upload/")
_OWN = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"}
_NO_IMAGES = frozenset({*_OWN, CHOICE})


def is_label_studio(found: Any) -> bool:
    """Return whether JSON is an export of Label Studio, of either kind."""
    if not (isinstance(found, list) and found and isinstance(found[0], dict)):
        return False
    first = found[0]
    return (isinstance(first.get("data"), dict) and "annotations" in first) or is_flat(first)


def is_flat(columns: Mapping[str, Any] | list[str]) -> bool:
    """Return whether columns are those of JSON-MIN and of CSV."""
    return "annotation_id" in columns and "lead_time" in columns


def studio_rows(place: Place, found: list[Any]) -> Generator[Row]:
    """Yield the rows of JSON, numbered from 1."""
    images = _Images(place)
    for number, task in enumerate(found, start=1):
        if not isinstance(task, dict):
            yield Row(number, None, None, f"expected a task, found {shown_cell(task)}")
        elif isinstance(task.get("data"), dict):
            data = task["data"]
            labels = list(_choices(task.get("annotations")))
            yield _row(number, images.path(_image_in(data)), labels)
        else:
            yield flat_row(number, task, place, images=images)


def flat_row(
    number: int, cells: Mapping[str, Any], place: Place, *, images: "_Images | None" = None
) -> Row:
    """Return a row of JSON-MIN or CSV."""
    names = [key for key in cells if key not in _NO_IMAGES]
    image = (images or _Images(place)).path(_image_in({key: cells[key] for key in names}))
    if CHOICE in cells:
        return _row(number, image, _labels(cells[CHOICE]))
    # The choice is called as whoever made the project has called it.
    classes = [key for key in names if not _is_image_key(key, cells[key]) and _labels(cells[key])]
    if len(classes) > 1:
        told = ", ".join(map(shown_cell, classes[:3]))
        return Row(number, image, None, f"expected its class in one column, found {told}")
    return _row(number, image, _labels(cells[classes[0]] if classes else None))


def is_studio_csv(place: Place, name: str) -> bool:
    """Return whether a CSV list is an export of Label Studio."""
    found = csv_beginning(place, name, rows=0)
    return bool(found) and is_flat(found[0])


def studio_csv_rows(place: Place, name: str) -> Generator[Row]:
    """Yield the rows of CSV, numbered as spreadsheets number them; errors as of any list."""
    images = _Images(place)
    for number, cells in csv_records(place, name):
        yield flat_row(number, cells, place, images=images)


def _row(number: int, path: str | None, labels: list[str]) -> Row:
    if path is None:
        return Row(number, None, None, "expected the address of an image, found none")
    distinct = sorted(set(labels))
    if not distinct:
        return Row(number, path, UNLABELLED)
    if len(distinct) > 1:
        told = ", ".join(map(shown_cell, distinct[:3]))
        return Row(number, path, None, f"expected one class for {shown_cell(path)}, found {told}")
    return Row(number, path, distinct[0])


def _choices(annotations: Any) -> Iterator[str]:
    """Yield the choices in the annotations of a task, without those that were cancelled."""
    for annotation in annotations if isinstance(annotations, list) else ():
        if not isinstance(annotation, dict) or annotation.get("was_cancelled"):
            continue
        results = annotation.get("result")
        for result in results if isinstance(results, list) else ():
            value = result.get("value") if isinstance(result, dict) else None
            yield from _labels(value.get("choices") if isinstance(value, dict) else None)


def _labels(chosen: Any) -> list[str]:
    """Return the classes in a choice: a text, a list of them, or an object with one."""
    if isinstance(chosen, str) and chosen[:1] == "{":
        try:
            chosen = read_json(chosen.encode())
        except ValueError:
            return [chosen]
    if isinstance(chosen, dict):
        chosen = chosen.get("choices")
    if isinstance(chosen, str):
        return [chosen] if chosen.strip() else []
    return [each for each in chosen if isinstance(each, str)] if isinstance(chosen, list) else []


def _image_in(data: Mapping[str, Any]) -> str | None:
    """Return the address of the image of a task."""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    for key in ("image", "img", "photo", "picture"):
        if key in texts:
            return texts[key]
    return next((value for key, value in texts.items() if _is_image_key(key, value)), None)


def _is_image_key(key: str, value: object) -> bool:
    from workers.sources.places.appearance import is_image

    return key == "image" or (isinstance(value, str) and is_image(urlsplit(value).path))


class _Images:
    """Finds images beside an export by their addresses on the server.

    Args:
        place: Where the export is.
    """

    # Owns: how the last image was found, as the next ones most probably are.

    def __init__(self, place: Place) -> None:
        self._place = place
        self._way = 0

    def path(self, address: str | None) -> str | None:
        """Return the path of an image; where none is found, what it is called."""
        if address is None:
            return None
        ways = list(_candidates(address))
        order = [self._way, *range(len(ways))] if self._way < len(ways) else range(len(ways))
        for way in order:
            if self._place.has(ways[way]):
                self._way = way
                return ways[way]
        return ways[0]


def _candidates(address: str) -> Iterator[str]:
    """Yield where an image may be, beside the export."""
    parts = urlsplit(address)
    inside = parse_qs(parts.query).get("d", [""])[-1] if "local-files" in parts.path else ""
    yield from _beside(inside or unquote(parts.path))
    if not inside and "%" in parts.path:  # of names that have such a sign themselves
        yield from _beside(parts.path)


def _beside(address: str) -> Iterator[str]:
    path = PurePosixPath(address.replace("\\", "/"))
    kept = [part for part in path.parts if part not in ("/", "..", ".")]
    if not kept:
        return
    stored = _STORED.fullmatch(kept[-1])
    names = [kept[-1], *([stored[1]] if stored else [])]
    for folder in _FOLDERS:
        for name in names:
            yield f"{folder}{name}"
    for cut in range(len(kept) - 1):
        yield "/".join(kept[cut:])
