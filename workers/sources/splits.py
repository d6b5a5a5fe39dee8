"""Splits of a source, as the names of its folders, lists and shards tell them apart."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from os.path import commonprefix

from adapters.errors import InputError
from workers.sources.metadata_lists import METADATA
from workers.sources.places.appearance import is_image
from workers.sources.places.place import EntryKind, Place
from workers.sources.places.survey import MOST_SEEN
from workers.sources.saved_tables import STATE

TRAINING = ("train", "training", "trn", "trainset")
TEST = ("test", "testing", "tst", "testset", "held_out", "heldout", "eval", "evaluation")
VALIDATION = ("validation", "valid", "val", "dev")
_BEHIND = re.compile(r"_?(set|split|images|imgs|data|dataset)$")
_NUMBER = re.compile(r"_?[0-9]+$")
"""Of a year or a part, as in val2017 and test1."""
_EXPORT = re.compile(r"labels\.json|annotations\.xml|split_zhou_.+\.json")
"""Called so, a list says what the folders beside it are, which are those of no classes."""
_FORM = re.compile(r"sample[-_ ]?submission")
"""Called so, a list is a form for answers, as competitions have them."""
_DEEPEST = 3
_LOOKED_AT = 200
"""So many entries of a folder say whether it is one of images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Splits:
    """The sources that a source is made of, by what they are for.

    Attributes:
        training: To learn from.
        test: To measure on; None where there is nothing.
        left: What is left alone.
        beside: Pictures beside the folder that is read, which no class has.
    """

    training: str
    test: str | None = None
    left: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


def split_named(name: str) -> str:
    """Return `train`, `test` or `validation` where a name says one of these; else nothing."""
    plain = re.sub(r"[-\s]+", "_", name.strip().casefold())
    for told in (plain, _BEHIND.sub("", plain), _NUMBER.sub("", plain)):
        for split, names in _NAMES.items():
            if told in names:
                return split
    return ""


_NAMES: Mapping[str, tuple[str, ...]] = {"train": TRAINING, "test": TEST, "validation": VALIDATION}


def splits_of(found: Mapping[str, str]) -> Splits | None:
    """Return the splits among sources by name; None where no name is that of training images.

    Args:
        found: The name of the split, as people wrote it, and its source.
    """
    by_split: dict[str, list[str]] = {}
    for name, source in found.items():
        by_split.setdefault(split_named(name), []).append(source)
    training = by_split.pop("train", [])
    if len(training) != 1:
        return None
    measured = by_split.pop("test", None) or by_split.pop("validation", None) or []
    left = [*measured[1:], *(source for sources in by_split.values() for source in sources)]
    return Splits(training=training[0], test=measured[0] if measured else None, left=tuple(left))


def folder_splits(place: Place, *, lists: tuple[str, ...], shards: tuple[str, ...]) -> Splits:
    """Return what a folder is made of, as paths below it; an empty path is the folder itself.

    Training images are in a folder called so that holds folders of classes, a list or shards, or
    are a list or shards whose names say so. A folder that holds nothing but one other folder of
    this kind stands for that one.

    Args:
        place: The folder.
        lists: How lists end.
        shards: How shards end, which several of may make one source.

    Raises:
        InputError: it cannot be listed.
    """
    below = ""
    beside: tuple[str, ...] = ()
    for _ in range(_DEEPEST):
        folders, files = _listed(place, below)
        found = splits_of(_folder_sources(place, below, folders, lists, shards))
        found = found or splits_of(_file_sources(below, files, lists, shards))
        if found is None:
            whole = _whole(place, below, folders, files, lists)
            found = None if whole is None else Splits(training=whole)
        if found is not None:
            return replace(found, beside=beside)
        if len(folders) != 1 or any(name.lower().endswith(lists + shards) for name in files):
            break
        beside += tuple(_path(below, name) for name in files if is_image(name))
        below = _path(below, folders[0])
    return Splits(training="")


def _whole(
    place: Place, below: str, folders: list[str], files: list[str], lists: tuple[str, ...]
) -> str | None:
    """Return the source that a folder without splits is: itself, or a list; None for neither."""
    known = [name for name in files if _EXPORT.fullmatch(name)]
    if len(known) == 1:
        return _path(below, known[0])
    alone = [
        name for name in files if name.lower().endswith(lists) and not _FORM.match(name.lower())
    ]
    # Beside a list, folders of training and of test images are no classes.
    apart = [name for name in folders if not (len(alone) == 1 and split_named(name))]
    classes = _with_images(place, below, apart)
    if STATE in files or classes > 1 or (classes and len(alone) != 1):
        return below
    if len(alone) == 1:  # and at most one folder, of the images that it lists
        return below if alone[0] in METADATA else _path(below, alone[0])
    return None


def _listed(place: Place, folder: str) -> tuple[list[str], list[str]]:
    """Return the folders and the files directly in a folder, sorted; none that are hidden."""
    folders, files = [], []
    for entry in islice(place.directly(folder), MOST_SEEN):
        if entry.name.startswith("."):
            continue
        if entry.kind is EntryKind.FOLDER:
            folders.append(entry.name)
        elif entry.kind is EntryKind.FILE:
            files.append(entry.name)
    return sorted(folders), sorted(files)


def _folder_sources(
    place: Place,
    below: str,
    folders: Iterable[str],
    lists: tuple[str, ...],
    shards: tuple[str, ...],
) -> dict[str, str]:
    """Return the folders that are named as splits and hold a source, not images themselves."""
    return {
        name: _split_source(place, _path(below, name), lists, shards)
        for name in folders
        if split_named(name) and _is_source(place, _path(below, name), lists + shards)
    }


def _split_source(
    place: Place, folder: str, lists: tuple[str, ...], shards: tuple[str, ...]
) -> str:
    """Return what is read of the folder of a split: itself, or the one list in it."""
    folders, files = _listed(place, folder)
    if any(name in METADATA or name.lower().endswith(shards) for name in files):
        return folder
    return _whole(place, folder, folders, files, lists) or folder


def _is_source(place: Place, folder: str, endings: tuple[str, ...]) -> bool:
    seen = list(islice(_seen(place, folder), _LOOKED_AT))
    if any(kind is EntryKind.FILE and name.lower().endswith(endings) for name, kind in seen):
        return True
    has_images = any(kind is EntryKind.FILE and is_image(name) for name, kind in seen)
    return not has_images and any(kind is EntryKind.FOLDER for _, kind in seen)


def _with_images(place: Place, below: str, folders: Iterable[str]) -> int:
    """Return how many of the first few folders have images directly in them."""
    return sum(
        any(
            kind is EntryKind.FILE and is_image(name)
            for name, kind in islice(_seen(place, _path(below, folder)), _LOOKED_AT)
        )
        for folder in islice(folders, 8)
    )


def _seen(place: Place, folder: str) -> Iterator[tuple[str, EntryKind]]:
    try:
        for entry in place.directly(folder):
            yield entry.name, entry.kind
    except InputError:  # nobody may look: that is told when the source is read
        return


def _file_sources(
    below: str, files: Iterable[str], lists: tuple[str, ...], shards: tuple[str, ...]
) -> dict[str, str]:
    """Return lists, and patterns of shards, by the word in their names that names a split."""
    found: dict[tuple[str, str], list[str]] = {}
    for name in files:
        ending = next((end for end in (*shards, *lists) if name.lower().endswith(end)), None)
        words = re.split(r"[^a-z]+", name.lower().removesuffix(ending or "")) if ending else []
        word = next((word for word in words if split_named(word)), "")
        if ending and word:
            found.setdefault((word, ending), []).append(name)
    sources: dict[str, str] = {}
    for (word, ending), names in found.items():
        is_series = len({re.sub(r"[0-9]+", "0", name) for name in names}) == 1
        if is_series or ending in shards:
            sources.setdefault(word, _path(below, _pattern(names)))
    return sources


def _pattern(names: list[str]) -> str:
    """Return the pattern that stands for several files, whose beginnings and ends are alike."""
    if len(names) == 1:
        return names[0]
    start = commonprefix(names).rstrip("0123456789")  # noqa: RUF071
    backwards = commonprefix([name[::-1] for name in names])  # noqa: RUF071 - of letters
    end = backwards[::-1].lstrip("0123456789")
    return f"{start}*{end}"


def _path(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
