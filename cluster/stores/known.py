"""Known stores: the folders that commands of this home have found to be stores.

A folder whose disk is away, or was mounted under another name, is empty or not there. Whoever has
used it before must not begin a new store in its place: what was accepted would be gone for good
once the disk is back.
"""

from pathlib import Path
from urllib.parse import urlsplit

from adapters.contract.canonical import digest_of
from adapters.errors import UnavailableError
from cluster.config import home
from cluster.stores.open import open_store
from workers.store import ObjectStore
from workers.store.file import FileStore
from workers.store.local import folder_of


def open_known_store(url: str, *, probed: bool = False) -> ObjectStore:
    """Open a store as `open_store` does; one that this home knows must be there.

    Raises:
        UnavailableError: it is a folder that was a store, and is none now.
    """
    if urlsplit(url).scheme != "file":
        return open_store(url, probed=probed)
    marker = home() / "stores" / digest_of(str(folder_of(url)).encode())[:16]
    try:
        store = open_store(url, probed=probed, existing=marker.exists())
    except UnavailableError as error:
        if not marker.exists():
            raise
        raise UnavailableError(
            f"{error.message}, or remove {marker} if it is to begin with nothing", **error.fields
        ) from error
    if isinstance(store, FileStore) and store.is_there:
        _note(marker, url)
    return store


def made_known_store(url: str) -> ObjectStore:
    """Open a store as `open_known_store` does, and make it where it is a folder that is none yet.

    Raises:
        UnavailableError: it is a folder that was a store, and is none now.
    """
    store = open_known_store(url)
    if isinstance(store, FileStore) and not store.is_there:
        store = open_known_store(url, probed=True)  # which writes
    return store


def _note(marker: Path, url: str) -> None:
    """Note that a store is known; a home that cannot be written knows none."""
    if marker.exists():
        return
    try:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(f"{url}\n", errors="backslashreplace")
    except OSError:
        return
