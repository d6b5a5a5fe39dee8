"""Lists in a folder of images, as `imagefolder` has them: metadata.csv, .jsonl or .parquet."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from adapters.errors import SettingsError
from workers.sources.columns import LABEL, Columns, guessed
from workers.sources.lists import beginning_of
from workers.sources.places.appearance import extension, is_image
from workers.sources.places.image import ImageRef
from workers.sources.places.place import EntryKind, Place
from workers.sources.places.survey import Counting, What

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE_NAME = "file_name"
"""The column of paths in such a list."""


def metadata_of(place: Place, files: Collection[str], columns: Columns) -> str | None:
    """Return the list in a folder that gives its images their classes; None where none does.

    Args:
        place: The folder.
        files: The names of the files directly in it.
        columns: The columns that a task names.
    """
    for name in METADATA:
        if name in files:
            try:
                found = {each.strip().casefold() for each in beginning_of(place, name, rows=0)[0]}
            except SettingsError:
                continue
            wanted = (columns.path or FILE_NAME, columns.label or LABEL)
            if all(each.casefold() in found for each in wanted):
                return name
    return None


def metadata_columns(place: Place) -> Columns | None:
    """Return the columns that a task must name for a folder that has such a list; None without."""
    files = {entry.name for entry in place.directly()}
    for name in (each for each in METADATA if each in files):
        try:
            columns = guessed(*beginning_of(place, name, rows=20))
        except SettingsError:
            continue
        if columns is not None and columns.path == FILE_NAME:
            return replace(columns, path=None, split=None)
    return None


def pass_over_unlisted(
    place: Place, images: Mapping[str, Sequence[ImageRef]], counting: Counting
) -> None:
    """Count the pictures in a folder that its list does not name.

    Args:
        place: The folder.
        images: Those that it names.
        counting: Has counted its rows.
    """
    listed = {ref.name for refs in images.values() for ref in refs}
    for entry in place.entries():
        is_own = not any(part.startswith(".") for part in entry.name.split("/"))
        if (
            entry.kind is EntryKind.FILE
            and is_own
            and is_image(entry.name)
            and entry.name not in listed
        ):
            counting.of("rows and files")
            counting.see()
            counting.pass_over(What.UNLISTED, entry.name, extension(entry.name), is_picture=True)
