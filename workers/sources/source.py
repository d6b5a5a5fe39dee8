"""Opening a source: from what a task file names to the images of each class.

A source is a folder per class, a list, or tar shards; a path beside the task file, or an address
such as s3://bucket/prefix?endpoint=http://host:port of any of these.
"""

import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from adapters.errors import InputError, NotFoundError, SettingsError
from workers.sources.arrow_rows import ARROW
from workers.sources.class_names import NAME_FILES, named_numbers
from workers.sources.columns import NO_COLUMNS, Columns, Selection
from workers.sources.cvat import XML
from workers.sources.exported_rows import JSON
from workers.sources.folders import folder_images, layout_of, pass_over_beside
from workers.sources.json_rows import JSON_LINES
from workers.sources.library_sets import check_here, is_library_set, library_images
from workers.sources.lists import listed_images
from workers.sources.metadata_lists import FILE_NAME, metadata_of, pass_over_unlisted
from workers.sources.parquet_rows import PARQUET
from workers.sources.places.absent import job_hint
from workers.sources.places.image import ImageRef
from workers.sources.places.local import LocalPlace
from workers.sources.places.patterns import is_pattern, matching
from workers.sources.places.place import EntryKind, Place
from workers.sources.places.stored import StoredPlace
from workers.sources.places.survey import MOST_UNPACKED, Counting, Survey, unwatched
from workers.sources.saved_tables import saved_tables
from workers.sources.tables import is_table, table_images
from workers.sources.tars import COMPRESSED, TAR, is_tar, tar_images
from workers.store.base import ObjectStore
from workers.store.local import open_local_store

Opener = Callable[[str], ObjectStore]
Images = dict[str, tuple[ImageRef, ...]]
_LOCAL = "file://"
LISTS = (".csv", ".tsv", PARQUET, *JSON_LINES, *JSON, *XML, *ARROW)
"""How lists end, in lower case."""
MOST_SENT = 4 * 2**30
"""Most bytes that what was sent unpacks to."""
SHARDS = (*COMPRESSED, TAR)
ENDINGS = (*LISTS, *SHARDS)
"""How files end that are sources."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """What a source holds.

    Attributes:
        images: The images of each class by its key, both sorted.
        survey: What was seen, used and passed over.
        names: Readable names of classes, where something beside their images has them.
    """

    images: dict[str, tuple[ImageRef, ...]]
    survey: Survey
    names: Mapping[str, str] = field(default_factory=dict)


def read_source(
    source: str,
    *,
    folder: Path | None = None,
    opener: Opener = open_local_store,
    named: str = "the source",
    within: Path | None = None,
    any_key: bool = False,
    columns: Columns = NO_COLUMNS,
    on_seen: Callable[[], None] = unwatched,
) -> Source:
    """Return what a source holds; its images are named, not read.

    Args:
        source: A path or an address; of a list, `#` and the name of a split may follow.
        folder: What a path is relative to; the working folder where None.
        opener: Returns the object store at the address of a prefix.
        named: Where `source` is written, for messages.
        within: No file of this machine outside of this folder is read; None for no such limit.
        any_key: Whether folders and labels may be called what no class can be, since whoever asks
            takes only some of them.
        columns: The columns of lists.
        on_seen: Called again and again while there is more; raises what should stop the work.

    Raises:
        NotFoundError: there is nothing.
        SettingsError: it is no folder, list or shards, or a part of it cannot be used.
        InputError: it leads outside of `within`.
        UnavailableError: the store cannot be reached.
    """
    if is_library_set(source):
        check_here(source, within)
        counting = Counting(on_seen=on_seen, any_key=any_key)
        known = library_images(source, folder=folder, counting=counting)
        return Source(images=known, survey=counting.survey())
    place, name, part = located(source, folder=folder, opener=opener, named=named, within=within)
    most = MOST_UNPACKED if within is None else MOST_SENT
    counting = Counting(on_seen=on_seen, any_key=any_key, most_bytes=most)
    if name is None:
        images = _everything(place, counting, columns)
    else:
        images = _named(place, name, counting, Selection(columns=columns, part=part))
    if images is None:
        raise nothing_at(place, name, source, named)
    names = named_numbers(place, tuple(images))
    return Source(images=images, survey=counting.survey(), names=names)


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalFiles:
    """The files of this machine that a source is made of.

    Attributes:
        folder: Where they are.
        name: The list, shard or pattern there that the source is; empty where it is the folder.
        part: The split that is read of it.
        names: The files, relative to the folder.
    """

    folder: Path
    name: str
    part: str | None = None
    names: tuple[str, ...]

    def below(self, folder: str) -> str:
        """Return the source as it is named where its files lie in `folder`."""
        source = f"{folder}/{self.name}" if self.name else folder
        return source if self.part is None else f"{source}#{self.part}"


def local_files(
    source: str, *, folder: Path, named: str, columns: Columns = NO_COLUMNS
) -> LocalFiles:
    """Return the files of this machine that a source is made of.

    Of a folder that is everything which lies in it, but for what systems leave there and links.

    Args:
        source: A path, which may be written as an address `file://`.
        folder: What a path is relative to.
        named: Where `source` is written, for messages.
        columns: The columns of lists.

    Raises:
        InputError: as in `read_source`; or a list names what lies outside of its folder.
    """
    images = read_source(source, folder=folder, named=named, any_key=True, columns=columns).images
    place, name, part = located(source, folder=folder, named=named)
    assert isinstance(place, LocalPlace)
    if name is None:
        found = {each.name for each in place.entries() if each.kind is EntryKind.FILE}
        return LocalFiles(folder=place.folder, name="", names=tuple(sorted(found)))
    listed = {ref.name for refs in images.values() for ref in refs}
    for each in sorted(listed):
        if PurePath(each).is_absolute() or ".." in PurePath(each).parts:
            raise InputError(
                f"expected files beside the list {place.origin(name)} or below, found {each!r} in "
                "it; over HTTP these alone are sent",
                path=each,
            )
    beside = (each for each in NAME_FILES if place.has(each))
    names = {*matching(place, name), *listed, *beside}
    return LocalFiles(folder=place.folder, name=name, part=part, names=tuple(sorted(names)))


def is_local(source: str) -> bool:
    """Return whether a source is a path of this machine."""
    return "://" not in source or source.startswith(_LOCAL)


def nothing_at(place: Place, name: str | None, source: str, named: str) -> NotFoundError:
    """Return that there is nothing where a source should be."""
    home = " `~` stands for no folder here: write the whole path." if source[:1] == "~" else ""
    hint = job_hint() if isinstance(place, LocalPlace) else ""
    return NotFoundError(
        f"expected a folder of classes, a list or tar shards at {place.origin(name or '')} "
        f"({named}), found nothing.{home}{hint}",
        path=place.origin(name or ""),
    )


class Located(NamedTuple):
    """Where a source is.

    Attributes:
        place: The folder of it.
        name: The file or pattern there that it is; None where it is the folder.
        part: The split that is meant of it; None for all.
    """

    place: Place
    name: str | None
    part: str | None


def located(
    source: str,
    *,
    folder: Path | None = None,
    opener: Opener = open_local_store,
    named: str = "the source",
    within: Path | None = None,
) -> Located:
    """Return where a source is; the arguments, and errors, are those of `read_source`."""
    try:
        whole, part = _parted(source, folder)
        if whole.startswith(_LOCAL):
            return Located(*_local(Path(unquote(whole.removeprefix(_LOCAL))), within), part)
        if "://" in whole:
            return Located(*_stored(whole, opener), part)
        return Located(*_local((folder or Path()) / whole, within), part)
    except (ValueError, OSError) as error:  # a NUL, a bracket of IPv6, a name that is too long
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{source[:200]!r} ({named}) can be no source: {reason}") from error


def _parted(source: str, folder: Path | None) -> tuple[str, str | None]:
    """Return a source and the split that is named behind its `#`, if it is a list."""
    whole, mark, part = source.rpartition("#")
    is_list = "/" not in part and urlsplit(whole, allow_fragments=False).path.lower().endswith(
        LISTS
    )
    if not (mark and part and is_list):
        return source, None
    if "://" not in source and _mode((folder or Path()) / source):
        return source, None  # a file that is called so
    return whole, part


def _local(path: Path, within: Path | None) -> tuple[Place, str | None]:
    # Whether there is a folder is not to be learnt of what may not be read.
    LocalPlace(path.parent, within).resolved(path.name)
    if stat.S_ISDIR(_mode(path)):
        return LocalPlace(path, within), None
    return LocalPlace(path.parent, within), path.name


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _stored(address: str, opener: Opener) -> tuple[Place, str | None]:
    """Return the prefix to open, as far down as possible, and the name of a file in it."""
    parts = urlsplit(address, allow_fragments=False)
    path, name = parts.path.rstrip("/"), None
    if path.lower().endswith(ENDINGS) or is_pattern(path.rpartition("/")[2]):
        path, _, name = path.rpartition("/")
    prefix = parts._replace(path=path)
    bare = urlunsplit(prefix._replace(query=""))
    return StoredPlace(opener(urlunsplit(prefix)), bare), name


def _everything(place: Place, counting: Counting, columns: Columns) -> Images | None:
    """Return the images in the whole of `place`: tar shards, if it holds no folders of classes."""
    selection, saved = Selection(columns=columns), saved_tables(place)
    if saved:
        return table_images(place, saved, counting, selection)
    layout = layout_of(place, counting)
    shards = sorted(filter(is_tar, layout.files))
    if shards and not layout.classes:
        counting.see(-len(shards))  # their members are counted, not they themselves
        layout.files = [name for name in layout.files if not is_tar(name)]
        pass_over_beside(layout, place, counting)
        return tar_images(place, shards, counting, selection)
    metadata = metadata_of(place, layout.files, columns)
    if metadata is not None:
        of_metadata = replace(columns, path=columns.path or FILE_NAME)
        images = listed_images(place, [metadata], counting.anew(), Selection(columns=of_metadata))
        pass_over_unlisted(place, images, counting)
        return images
    if not (layout.files or layout.classes) and isinstance(place, StoredPlace):
        return None
    return folder_images(layout, place, counting)


def _named(place: Place, name: str, counting: Counting, selection: Selection) -> Images | None:
    """Return the images of one list or of the shards that `name` stands for."""
    names = matching(place, name)
    if not names:
        return None
    if all(map(is_tar, names)):
        return tar_images(place, names, counting, selection)
    kinds = sorted({PurePath(each).suffix.lower() for each in names})
    if len(kinds) > 1:
        raise SettingsError(
            f"expected files of one kind at {place.origin(name)}, found {' and '.join(kinds)}; "
            "name one of these"
        )
    if kinds[0].endswith((PARQUET, *ARROW)) and is_table(place, names[0], selection.columns):
        return table_images(place, names, counting, selection)
    return listed_images(place, names, counting, selection)
