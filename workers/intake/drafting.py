"""Drafting a task file from a bare source: name, splits and columns, as the source shows them."""

import os
import re
import unicodedata
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml

from adapters.errors import InputError, SettingsError
from workers.formats.yaml_settings import content_of, partly
from workers.sources import Opener
from workers.sources.arrow_rows import ARROW
from workers.sources.columns import (
    FIRST_ROW,
    LABEL,
    NO_COLUMNS,
    SPLIT,
    Columns,
    Selection,
    guessed,
    is_nameless,
    shown_cell,
    split_said,
)
from workers.sources.json_rows import JSON_LINES
from workers.sources.label_studio import is_flat
from workers.sources.library_sets import is_library_set, library_set, library_splits
from workers.sources.lists import beginning_of, rows_of
from workers.sources.metadata_lists import metadata_columns
from workers.sources.parquet_rows import PARQUET
from workers.sources.places.appearance import is_image
from workers.sources.places.patterns import matching
from workers.sources.places.place import EntryKind, Place
from workers.sources.rows import MOST_PATH_BYTES
from workers.sources.source import (
    ENDINGS,
    LISTS,
    SHARDS,
    Located,
    is_local,
    located,
    nothing_at,
)
from workers.sources.splits import Splits, folder_splits, split_named, splits_of
from workers.sources.tables import guessed_columns, is_table, table_splits
from workers.store.local import open_local_store
from workers.tasks.task_file import TaskFile
from workers.tasks.task_name import NAME

TASK_FILE = "task.yaml"
MOST_NAME = 64
_YAML = (".yaml", ".yml")
_TEXT = ".txt"
_ROWS = 100
"""So many rows show which columns a list has."""
_SPLITS = 50
_NAMED = 3
_IN_A_LINE = 5
"""So many keys and values are written in one line."""
_NAME_THEM = "; write a task file that names them: `columns: {path: …, label: …}`"
MOST_CLASSES = 2000
_NUMBERED = re.compile(r"(?:n?[0-9]+)[-._ ]+([^\W\d_][\w .'()-]*)")
_OF_ALL = ("images", "image", "imgs", "img", "jpg", "jpegimages", "pictures", "photos", "data")
_GENERIC = ("data", "dataset", "images", "labels", "metadata", "annotations", "shards")
TABLES = (PARQUET, *ARROW)
_OF_COLUMNS = (".csv", ".tsv", *JSON_LINES)
SPLIT_LISTS = tuple(set(LISTS) - set(ARROW))
_COMMENTS = """\
# What else may be said (docs/tasks.md has all of it):
# prompt: "a photo of a {}, a type of bird."
# classes: {tiger_lily: tiger lily}      # some of the classes, or other names of them
# adapter: main
# augmentation: crop                     # for digits, letters and signs
# skip_unreadable: 0.01
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A task file that nobody has written yet.

    Attributes:
        file: Its keys.
        folder: Where it would lie: its paths are relative to this.
        notes: What of the source was left alone, one sentence each.
    """

    file: TaskFile
    folder: Path
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """Where it would lie."""
        return self.folder / TASK_FILE

    @property
    def content(self) -> bytes:
        """What it would hold."""
        return self.to_yaml().encode()

    def to_yaml(self, *, commented: bool = False) -> str:
        """Return the task file: what it says besides the defaults, and its prompt.

        Args:
            commented: Whether comments say what else may be said.
        """
        said = "".join(_line(key, value) for key, value in self._said().items())
        return f"{said}{_COMMENTS}" if commented else said

    def _said(self) -> dict[str, Any]:
        defaults = TaskFile(name="", images="")
        values = {each.name: getattr(self.file, each.name) for each in fields(TaskFile)}
        said = {
            key: value
            for key, value in values.items()
            if key == "prompt" or value != getattr(defaults, key)
        }
        if "columns" in said:
            said["columns"] = columns_said(self.file.columns)
        return said


def columns_said(columns: Columns) -> dict[str, Any]:
    """Return the columns as a task file says them."""
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in asdict(columns).items()
        if value
    }


def _line(key: str, value: Any) -> str:
    flow = None if isinstance(value, dict) and len(value) <= _IN_A_LINE else False
    return yaml.safe_dump(
        {key: value}, allow_unicode=True, width=1000, default_flow_style=flow, sort_keys=False
    )


def is_source(named: str | Path) -> bool:
    """Return whether what is to be submitted is a bare source, and not a task file.

    A folder is one unless a task file lies in it; so is an address, a pattern, and a file that is
    called as lists, shards or exports are and has no keys of a task file.
    """
    text = str(named)
    if "://" in text:
        return True
    path = Path(text)
    if path.suffix.lower() in _YAML or (path / TASK_FILE).is_file():
        return False
    if path.is_dir():
        return True
    whole = text.rpartition("#")[0] if "#" in text and not path.exists() else text
    if path.suffix.lower() == _TEXT:
        return _names_images(path)
    return whole.lower().endswith(ENDINGS) and not _is_task_file(Path(whole))


def task_file_of(named: str | Path) -> Path:
    """Return the task file that is meant: that of a folder, or the file itself."""
    path = Path(named)
    return path / TASK_FILE if (path / TASK_FILE).is_file() else path


def draft_task(
    source: str,
    *,
    folder: Path | None = None,
    opener: Opener = open_local_store,
    within: Path | None = None,
) -> Draft:
    """Return the task file that says what a bare source shows.

        >>> draft_task("birds").to_yaml()
        'name: birds\\nimages: birds/train\\nheld_out: birds/test\\nprompt: a photo of a {}.\\n'

    Args:
        source: A path, relative to the working folder, or an address.
        folder: Where the task file would lie; the working folder where None.
        opener: Returns the object store at the address of a prefix.
        within: No file of this machine outside of this folder is read; None for no such limit.

    Raises:
        NotFoundError: there is nothing.
        InputError: it cannot be listed or read, or shows no classes.
        UnavailableError: the store cannot be reached.
    """
    if is_library_set(source):
        return _of_library(source, folder)
    place, name, part = located(source, opener=opener, within=within)
    if name is not None and not matching(place, name):
        raise nothing_at(place, name, source, "the source")
    if name is None:
        splits = folder_splits(place, lists=LISTS, shards=SHARDS)
    else:
        splits = Splits(training=name if part is None else f"{name}#{part}")
    training = _Written(source, None, is_file=name is not None).source(splits.training)
    found = located(training, opener=opener, within=within)
    columns = _columns(found.place, found.name)
    splits = _without_classes(splits, source, columns, opener=opener, within=within)
    if found.name is not None and found.part is None and splits.test is None:
        of_rows = _splits_in(found.place, found.name, columns)
        above = splits.training
        splits = splits_of({each: f"{above}#{each}" for each in of_rows}) or splits
    written = _Written(source, folder, is_file=name is not None)
    file = TaskFile(
        name=_name_of(source),
        images=written.source(splits.training),
        held_out=None if splits.test is None else written.source(splits.test),
        columns=columns,
        classes=_classes_in(found),
    )
    left = [written.source(each) for each in (*splits.left, *splits.beside[:_NAMED])]
    if len(splits.beside) > _NAMED:
        left.append(f"{len(splits.beside) - _NAMED} more pictures there")
    notes = (f"left alone: {', '.join(left)}",) if left else ()
    return Draft(file=file, folder=folder or Path(), notes=notes)


def _without_classes(
    splits: Splits, source: str, columns: Columns, *, opener: Opener, within: Path | None
) -> Splits:
    """Leave a list of test images alone that has no classes, as competitions have them."""
    if splits.test is None or splits.test.partition("#")[2] or columns.one_hot:
        return splits
    written = _Written(source, None, is_file=False)
    place, name, _ = located(written.source(splits.test), opener=opener, within=within)
    if name is None or not name.lower().endswith(_OF_COLUMNS) or not matching(place, name):
        return splits
    wanted = (columns.label or LABEL).casefold()
    found, _ = beginning_of(place, matching(place, name)[0], rows=0)
    if not found or wanted in {each.strip().casefold() for each in found}:
        return splits
    return replace(splits, test=None, left=(*splits.left, splits.test))


def _of_library(source: str, folder: Path | None) -> Draft:
    """Return the draft of a data set of a library, whose splits it knows."""
    mark = "&" if "?" in source else "?"
    found = {split: f"{source}{mark}split={split}" for split in library_splits(source)}
    splits = splits_of(found) or Splits(training=next(iter(found.values()), source))
    file = TaskFile(
        name=_lawful(library_set(source).name.rpartition("/")[2]) or "task",
        images=splits.training,
        held_out=splits.test,
    )
    left = (f"left alone: {', '.join(splits.left)}",) if splits.left else ()
    return Draft(file=file, folder=folder or Path(), notes=left)


class _Written:
    """A part of a source as the task file writes it.

    Args:
        source: The source, relative to the working folder.
        folder: Where the task file lies; the working folder where None.
        is_file: Whether the source is a file or a pattern, so that its parts lie beside it.
    """

    # Owns: nothing.

    def __init__(self, source: str, folder: Path | None, *, is_file: bool) -> None:
        self._source, self._folder, self._is_file = source, folder, is_file

    def source(self, below: str) -> str:
        """Return how the task file names what lies below the source, or beside it."""
        if not is_local(self._source):
            return self._address(below)
        base = Path(self._source.removeprefix("file://"))
        path = os.path.normpath((base.parent if self._is_file else base) / below)
        if self._folder is None or Path(path).is_absolute():
            return path
        return os.path.relpath(path, self._folder)

    def _address(self, below: str) -> str:
        whole = self._source.rpartition("#")[0] if "#" in below else self._source
        parts = urlsplit(whole or self._source, allow_fragments=False)
        path = parts.path.rpartition("/")[0] if self._is_file else parts.path.rstrip("/")
        below, mark, part = below.partition("#")
        address = urlunsplit(parts._replace(path=f"{path}/{below}" if below else path))
        return f"{address}{mark}{part}"


def _classes_in(found: Located) -> dict[str, str]:
    """Return readable names of classes whose folders have numbers before them; else nothing.

    So data sets are published: `001.Black_footed_Albatross`, `n02085620-Chihuahua`.

    Raises:
        SettingsError: all pictures lie in one folder that is called as those of no class are.
    """
    if found.name is not None or metadata_columns(found.place) is not None:
        return {}
    seen = islice(found.place.directly(), MOST_CLASSES + 1)
    keys = sorted(each.name for each in seen if each.kind is EntryKind.FOLDER)
    keys = [key for key in keys if not key.startswith(".")]
    is_of_all = len(keys) == 1 and keys[0].casefold() in _OF_ALL
    if is_of_all or (keys and all(map(split_named, keys))):
        raise SettingsError(
            f"expected a folder for each class in {found.place.origin('')}, found all pictures in "
            f"{' and '.join(keys[:3])}; move them into folders there, one for each class, or write "
            f"a list with the columns path and label beside it, as in path,label and {keys[0]}/"
            "1.jpg,cat; where their names say it, as in cat_1.jpg, a list can be made of these"
        )
    numbered = {key: told[1] for key in keys if (told := _NUMBERED.fullmatch(key))}
    names = {key: name.replace("_", " ").strip() for key, name in numbered.items()}
    is_whole = 1 < len(keys) == len(names) == len({name.casefold() for name in names.values()})
    return names if is_whole and len(keys) <= MOST_CLASSES else {}


def _columns(place: Place, name: str | None) -> Columns:
    """Return which columns of a list or table have what a task needs; none of what is neither."""
    if name is None:
        return metadata_columns(place) or NO_COLUMNS
    if not name.lower().endswith((*LISTS, _TEXT)):
        return NO_COLUMNS
    first = matching(place, name)[0]
    if first.lower().endswith(TABLES) and is_table(place, first, NO_COLUMNS):
        return guessed_columns(place, first)
    found, rows = beginning_of(place, first, rows=_ROWS)
    if is_flat(found) or not (found or first.lower().endswith(_OF_COLUMNS)):
        return NO_COLUMNS  # what tools export says by itself what is what
    if is_nameless([str(each) for each in found]):
        return NO_COLUMNS
    columns = guessed(found, rows)
    if columns is None:
        told = ", ".join(map(shown_cell, found[:20]))
        is_row = any(is_image(name.strip()) for name in found)
        raise SettingsError(
            f"expected a column of paths and one of classes in {place.origin(first)}, found "
            f"[{told}]{FIRST_ROW if is_row else _NAME_THEM}"
        )
    return columns


def _splits_in(place: Place, name: str, columns: Columns) -> Sequence[str]:
    """Return the names of the splits that the rows of a list are of; none where it has none."""
    first = matching(place, name)[0]
    if not first.lower().endswith(SPLIT_LISTS):
        return ()
    names = {each.strip().casefold() for each in beginning_of(place, first, rows=0)[0]}
    if names and columns.split is None and SPLIT not in names:
        return ()
    found: dict[str, None] = {}
    with closing(_split_cells(place, first, columns)) as cells:
        for cell in cells:
            said = "" if cell is None else split_said(columns.split, cell)
            if said and (isinstance(cell, str) or said != str(cell)):
                found[said] = None
            if len(found) > _SPLITS:
                break
    return tuple(found)


def _split_cells(place: Place, name: str, columns: Columns) -> Generator[object]:
    """Yield the split of each row of a list, or of a table of images."""
    if name.lower().endswith(TABLES) and is_table(place, name, columns):
        yield from table_splits(place, name, Selection(columns=columns, part=""))
        return
    with closing(rows_of(place, name, Selection(columns=columns, part=""))) as rows:
        for row in rows:
            yield row.split


def _name_of(source: str) -> str:
    """Return a lawful name for a task, made of the name of its folder or file."""
    path = (
        urlsplit(source, allow_fragments=False).path
        if "://" in source
        else str(Path(source).resolve())
    )
    for part in reversed(PurePath(path.rpartition("#")[0] or path).parts):
        name = _lawful(_stem(part))
        if name and name.casefold() not in _GENERIC and not split_named(name):
            return name
    return "task"


def _stem(name: str) -> str:
    """Return a name without its ending, patterns, and the word of a split."""
    endings = (*ENDINGS, _TEXT)
    ending = next((end for end in endings if name.lower().endswith(end)), "")
    bare = name[: len(name) - len(ending)] if ending else name
    bare = re.sub(r"\{[^}]*\}|[*?]|\[[^\]]*\]|[0-9]+-of-[0-9]+|[-_.][0-9]{4,}$", " ", bare)
    words = re.split(r"([-_.\s]+)", bare)
    kept = [word for word in words if not split_named(word)] if ending else words
    return "".join(kept)


def _lawful(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    lawful = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-._")[:MOST_NAME].rstrip("-._")
    return lawful if NAME.fullmatch(lawful) else ""


def _names_images(path: Path) -> bool:
    """Return whether the first line of a text names an image, as that of a list does."""
    try:
        with path.open("rb") as file:
            lines = file.read(MOST_PATH_BYTES).decode("utf-8-sig", "replace").splitlines()
    except OSError:
        return False
    first = next((line for line in lines if line.strip()), "")
    return any(is_image(word) for word in re.split(r"[\s,;|\"]+", first))


def _is_task_file(path: Path) -> bool:
    """Return whether a file has the keys that a task file must have; JSON may be either."""
    if path.suffix.lower() != ".json":
        return False
    if not path.exists():
        return True  # as whoever reads it says then
    try:
        return {"name", "images"} <= partly(TaskFile, content_of(path), str(path)).values.keys()
    except InputError:
        return False
