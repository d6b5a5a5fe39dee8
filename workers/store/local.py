"""Opening stores that need no server, by URL."""

import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

from adapters.errors import InputError
from workers.store.base import ObjectStore
from workers.store.file import FileStore
from workers.store.memory import MemoryStore

_named_lock = threading.Lock()
_named: dict[str, MemoryStore] = {}  # owned by _named_lock


def open_local_store(url: str, *, existing: bool = False) -> ObjectStore:
    """Return the store of a `memory://NAME` or `file:///FOLDER` URL.

    A memory store with a name is the same object for the whole process; without one it is new.

    Args:
        url: Where the store is.
        existing: Whether the folder must be a store already; otherwise it is made.

    Raises:
        InputError: The URL is of another kind.
        UnavailableError: The folder is no store, and must be.
    """
    parts = urlsplit(url)
    if parts.scheme == "memory":
        return _memory_store(parts.netloc + parts.path)
    if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path:
        return FileStore(folder_of(url), existing=existing)
    raise InputError(
        f"{url!r} is not a local store: expected memory://NAME or file:///FOLDER (absolute)",
        url=url,
    )


def folder_of(url: str) -> Path:
    """Return the folder of a `file:///FOLDER` URL."""
    return Path(unquote(urlsplit(url).path, errors="surrogateescape"))


def _memory_store(name: str) -> MemoryStore:
    if not name:
        return MemoryStore()
    with _named_lock:
        return _named.setdefault(name, MemoryStore(name))
