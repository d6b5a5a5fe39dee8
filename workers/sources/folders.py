"""Folder source: one folder of images per class, and everything else counted."""

from dataclasses import dataclass, field

from adapters.errors import SettingsError
from workers.formats.problems import Problems, cause_of
from workers.sources.places.appearance import is_image
from workers.sources.places.image import ImageRef
from workers.sources.places.keys import what_is_wrong_with
from workers.sources.places.looking import look_at
from workers.sources.places.place import Entry, EntryKind, Place
from workers.sources.places.survey import Counting, What
from workers.sources.places.system_files import is_system_file

_NO_FILES = {
    EntryKind.LINK: (What.LINKS, "links"),
    EntryKind.CLOSED: (What.CLOSED, "folders"),
    EntryKind.SPECIAL: (What.SPECIAL, "special files"),
}


@dataclass(slots=True)
class Layout:
    """What lies in a folder of classes.

    Attributes:
        classes: Names of the images in each folder directly in it; those of folders without any
            are empty.
        files: Files beside these folders.
    """

    classes: dict[str, list[str]] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


def layout_of(place: Place, counting: Counting) -> Layout:
    """Return what lies in `place`, after counting what is passed over in its folders.

    A file in a class's folder is an image if its extension says so, or else its first bytes.

    Raises:
        InputError: the place, or a folder in it, cannot be listed.
        SettingsError: there are too many files.
        UnavailableError: the store cannot be reached.
    """
    layout = Layout()
    unclear: list[tuple[What, str]] = []
    for entry in place.entries():
        if entry.kind is EntryKind.FOLDER:
            if not (entry.name.startswith(".") or is_system_file(entry.name)):
                layout.classes.setdefault(entry.name, [])
            continue
        counting.see()
        where = _where(entry)
        if where is What.SYSTEM:
            counting.pass_over(where, entry.name, _system_part(entry.name))
        elif where is What.OTHER and is_image(entry.name) and entry.kind is not EntryKind.CLOSED:
            # Links to nowhere and pipes too: they are refused by name when they are read.
            layout.classes[entry.name.partition("/")[0]].append(entry.name)
        elif entry.kind in _NO_FILES:
            reason, kind = _NO_FILES[entry.kind]
            counting.pass_over(reason, entry.name, kind)
        elif where is What.LOOSE:
            layout.files.append(entry.name)
        else:
            unclear.append((where, entry.name))
    for name in look_at(unclear, place, counting):
        layout.classes[name.partition("/")[0]].append(name)
    return layout


def folder_images(
    layout: Layout, place: Place, counting: Counting
) -> dict[str, tuple[ImageRef, ...]]:
    """Return the images of every folder in `place`, by the folder's name, both sorted.

    Raises:
        SettingsError: the names of some folders can be no keys of classes; all are reported.
    """
    if not counting.any_key:
        _check_keys(layout, place)
    pass_over_beside(layout, place, counting)
    counting.use(sum(map(len, layout.classes.values())))
    return {
        key: tuple(ImageRef(place=place, name=name) for name in sorted(layout.classes[key]))
        for key in sorted(layout.classes)
    }


def _check_keys(layout: Layout, place: Place) -> None:
    problems = Problems()
    for key in sorted(layout.classes):
        wrong = what_is_wrong_with(key)
        if wrong:
            problems.add(f"{place.origin(key)} {wrong}", cause=cause_of(wrong))
    if problems:
        raise SettingsError(
            f"folders whose names cannot be class names: {problems.count}; rename them (where they "
            "are not UTF-8, `convmv -r --notest -f latin1 -t utf8 FOLDER` does), or name under "
            f"`classes` those that are to be learnt:{problems}",
            problems=problems.kept,
        )


def pass_over_beside(layout: Layout, place: Place, counting: Counting) -> None:
    """Count the files that lie beside the folders of classes, or beside shards."""
    used = list(look_at([(What.LOOSE, name) for name in layout.files], place, counting))
    assert not used


def _where(entry: Entry) -> What:
    """Return what is to be said of an entry by its place; `OTHER` for files of a class's folder."""
    parts = entry.name.split("/")
    if entry.kind is EntryKind.SYSTEM:
        return What.SYSTEM
    if any(part.startswith(".") for part in parts):
        return What.HIDDEN
    if len(parts) == 1:
        return What.LOOSE
    return What.OTHER if len(parts) == 2 else What.DEEPER


def _system_part(name: str) -> str:
    """Return the part of a name that a system or a program has given."""
    part = next(part for part in name.split("/") if is_system_file(part))
    return "._*" if part.startswith("._") else part
