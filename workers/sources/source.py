"""Opening a source: from what a task file names to the images of each class.

A source is a folder per class, a list, or tar shards; a path beside the task file, or an address
such as s3://bucket/prefix?endpoint=http://host:port of any of these.
"""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from adapters.errors import NotFoundError, SettingsError
from workers.sources.absent import job_hint
from workers.sources.folders import folder_images
from workers.sources.image import ImageRef
from workers.sources.lists import PARQUET, listed_images
from workers.sources.patterns import is_pattern, matching
from workers.sources.places import LocalPlace, Place, StoredPlace
from workers.sources.tars import TAR, tar_images
from workers.store.base import ObjectStore
from workers.store.local import open_local_store

Opener = Callable[[str], ObjectStore]
_LOCAL = "file://"
_FILES = (".csv", PARQUET, TAR)
_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")


def images_by_class(
    source: str,
    *,
    folder: Path | None = None,
    opener: Opener = open_local_store,
    named: str = "the source",
    within: Path | None = None,
) -> dict[str, tuple[ImageRef, ...]]:
    """Return the images of `source` by the key of their class, both sorted.

    Args:
        source: A path or an address.
        folder: What a path is relative to; the working folder where None.
        opener: Returns the object store at the address of a prefix.
        named: Where `source` is written, for messages.
        within: No file of this machine outside of this folder is read; None for no such limit.

    Raises:
        NotFoundError: there is nothing.
        SettingsError: it is no folder, list or shards, or a part of it cannot be used.
        InputError: it leads outside of `within`.
        UnavailableError: the store cannot be reached.
    """
    if source.startswith(_LOCAL):
        place, name = _local(Path(unquote(source.removeprefix(_LOCAL))), within)
    elif "://" in source:
        place, name = _stored(source, opener)
    else:
        place, name = _local((folder or Path()) / source, within)
    images = _everything(place) if name is None else _named(place, name)
    if images is None:
        raise NotFoundError(
            f"expected a folder of classes, a list or tar shards at {place.origin(name or '')} "
            f"({named}), found nothing.{job_hint() if isinstance(place, LocalPlace) else ''}",
            path=place.origin(name or ""),
        )
    return images


def _local(path: Path, within: Path | None) -> tuple[Place, str | None]:
    # Whether there is a folder is not to be learnt of what may not be read.
    LocalPlace(path.parent, within).resolved(path.name)
    if path.is_dir():
        return LocalPlace(path, within), None
    return LocalPlace(path.parent, within), path.name


def _stored(address: str, opener: Opener) -> tuple[Place, str | None]:
    """Return the prefix to open, as far down as possible, and the name of a file in it."""
    parts = urlsplit(address, allow_fragments=False)
    path, name = parts.path.rstrip("/"), None
    if path.lower().endswith((*_FILES, *_COMPRESSED)) or is_pattern(path.rpartition("/")[2]):
        path, _, name = path.rpartition("/")
    prefix = parts._replace(path=path)
    bare = urlunsplit(prefix._replace(query=""))
    return StoredPlace(opener(urlunsplit(prefix)), bare), name


def _everything(place: Place) -> dict[str, tuple[ImageRef, ...]] | None:
    """Return the images in the whole of `place`: tar shards, if it holds nothing else."""
    tree = place.tree()
    if tree.files and not tree.folders and all(map(_is_tar, tree.files)):
        return tar_images(place, tree.files)
    if not (tree.files or tree.folders) and isinstance(place, StoredPlace):
        return None
    return folder_images(place, tree)


def _named(place: Place, name: str) -> dict[str, tuple[ImageRef, ...]] | None:
    """Return the images of one list or of the shards that `name` stands for."""
    names = matching(place, name)
    if not names:
        return None
    if name.lower().endswith(_COMPRESSED):
        raise SettingsError(
            f"expected uncompressed tar shards, found {place.origin(name)}: images in a "
            "compressed one cannot be read one by one; decompress it"
        )
    if all(map(_is_tar, names)):
        return tar_images(place, names)
    if len(names) == 1:
        return listed_images(place, names[0])
    others = [each for each in names if not _is_tar(each)]
    raise SettingsError(
        f"expected tar shards alone at {place.origin(name)}, found {others[0]}; a pattern may "
        "not stand for several lists"
    )


def _is_tar(name: str) -> bool:
    return name.lower().endswith(TAR)
