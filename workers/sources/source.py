"""Opening a source: from what a task file names to the images of each class.

A source is a folder per class, a list, or tar shards; a path beside the task file, or an address
such as s3://bucket/prefix?endpoint=http://host:port of any of these.
"""

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit, urlunsplit

from adapters.errors import InputError, NotFoundError, SettingsError
from workers.sources.absent import job_hint
from workers.sources.folders import folder_images, layout_of, pass_over_beside
from workers.sources.image import ImageRef
from workers.sources.lists import listed_images
from workers.sources.local import LocalPlace
from workers.sources.parquet_rows import PARQUET
from workers.sources.patterns import is_pattern, matching
from workers.sources.places import EntryKind, Place
from workers.sources.stored import StoredPlace
from workers.sources.survey import Counting, Survey, unwatched
from workers.sources.tars import TAR, is_tar, tar_images
from workers.store.base import ObjectStore
from workers.store.local import open_local_store

Opener = Callable[[str], ObjectStore]
Images = dict[str, tuple[ImageRef, ...]]
_LOCAL = "file://"
_FILES = (".csv", PARQUET, TAR)
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """What a source holds.

    Attributes:
        images: The images of each class by its key, both sorted.
        survey: What was seen, used and passed over.
    """

    images: dict[str, tuple[ImageRef, ...]]
    survey: Survey


def read_source(
    source: str,
    *,
    folder: Path | None = None,
    opener: Opener = open_local_store,
    named: str = "the source",
    within: Path | None = None,
    any_key: bool = False,
    on_seen: Callable[[], None] = unwatched,
) -> Source:
    """Return what a source holds; its images are named, not read.

    Args:
        source: A path or an address.
        folder: What a path is relative to; the working folder where None.
        opener: Returns the object store at the address of a prefix.
        named: Where `source` is written, for messages.
        within: No file of this machine outside of this folder is read; None for no such limit.
        any_key: Whether folders and labels may be called what no class can be, since whoever asks
            takes only some of them.
        on_seen: Called again and again while there is more; raises what should stop the work.

    Raises:
        NotFoundError: there is nothing.
        SettingsError: it is no folder, list or shards, or a part of it cannot be used.
        InputError: it leads outside of `within`.
        UnavailableError: the store cannot be reached.
    """
    place, name = _located(source, folder, opener, named, within)
    counting = Counting(on_seen=on_seen, any_key=any_key)
    images = _everything(place, counting) if name is None else _named(place, name, counting)
    if images is None:
        home = " `~` stands for no folder here: write the whole path." if source[:1] == "~" else ""
        raise NotFoundError(
            f"expected a folder of classes, a list or tar shards at {place.origin(name or '')} "
            f"({named}), found nothing.{home}{job_hint() if isinstance(place, LocalPlace) else ''}",
            path=place.origin(name or ""),
        )
    return Source(images=images, survey=counting.survey())


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalFiles:
    """The files of this machine that a source is made of.

    Attributes:
        folder: Where they are.
        name: The list, shard or pattern there that the source is; empty where it is the folder.
        names: The files, relative to the folder.
    """

    folder: Path
    name: str
    names: tuple[str, ...]


def local_files(source: str, *, folder: Path, named: str) -> LocalFiles:
    """Return the files of this machine that a source is made of.

    Of a folder that is everything which lies in it, but for what systems leave there and links.

    Args:
        source: A path, which may be written as an address `file://`.
        folder: What a path is relative to.
        named: Where `source` is written, for messages.

    Raises:
        InputError: as in `read_source`; or a list names what lies outside of its folder.
    """
    images = read_source(source, folder=folder, named=named, any_key=True).images
    place, name = _located(source, folder, open_local_store, named, None)
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
    names = {*matching(place, name), *listed}
    return LocalFiles(folder=place.folder, name=name, names=tuple(sorted(names)))


def is_local(source: str) -> bool:
    """Return whether a source is a path of this machine."""
    return "://" not in source or source.startswith(_LOCAL)


def _located(
    source: str, folder: Path | None, opener: Opener, named: str, within: Path | None
) -> tuple[Place, str | None]:
    """Return the place that a source is in, and the name of a file or pattern there."""
    try:
        if source.startswith(_LOCAL):
            return _local(Path(unquote(source.removeprefix(_LOCAL))), within)
        if "://" in source:
            return _stored(source, opener)
        return _local((folder or Path()) / source, within)
    except (ValueError, OSError) as error:  # a NUL, a bracket of IPv6, a name that is too long
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"{source[:200]!r} ({named}) can be no source: {reason}") from error


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
    if path.lower().endswith((*_FILES, *_COMPRESSED)) or is_pattern(path.rpartition("/")[2]):
        path, _, name = path.rpartition("/")
    prefix = parts._replace(path=path)
    bare = urlunsplit(prefix._replace(query=""))
    return StoredPlace(opener(urlunsplit(prefix)), bare), name


def _everything(place: Place, counting: Counting) -> Images | None:
    """Return the images in the whole of `place`: tar shards, if it holds no folders of classes."""
    layout = layout_of(place, counting)
    shards = sorted(filter(is_tar, layout.files))
    if shards and not layout.classes:
        counting.see(-len(shards))  # their members are counted, not they themselves
        layout.files = [name for name in layout.files if not is_tar(name)]
        pass_over_beside(layout, place, counting)
        return tar_images(place, shards, counting)
    if not (layout.files or layout.classes) and isinstance(place, StoredPlace):
        return None
    return folder_images(layout, place, counting)


def _named(place: Place, name: str, counting: Counting) -> Images | None:
    """Return the images of one list or of the shards that `name` stands for."""
    names = matching(place, name)
    if not names:
        return None
    if name.lower().endswith(_COMPRESSED):
        raise SettingsError(
            f"expected uncompressed tar shards, found {place.origin(name)}: images in a "
            "compressed one cannot be read one by one; decompress it"
        )
    if all(map(is_tar, names)):
        return tar_images(place, names, counting)
    if len(names) == 1:
        return listed_images(place, names[0], counting)
    others = [each for each in names if not is_tar(each)]
    raise SettingsError(
        f"expected tar shards alone at {place.origin(name)}, found {others[0]}; a pattern may "
        "not stand for several lists"
    )
