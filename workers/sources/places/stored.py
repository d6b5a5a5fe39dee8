"""Places in object stores: prefixes, and the objects below them."""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from adapters.errors import InputError, NotFoundError, one_line
from workers.sources.places.place import Entry, EntryKind, Place
from workers.sources.places.system_files import is_system_file
from workers.store.base import ObjectStore


@dataclass(frozen=True, slots=True)
class StoredPlace(Place):
    """A prefix of an object store.

    Attributes:
        store: Opened at the prefix.
        address: Of the prefix, without a query or a slash at its end, for messages.
    """

    read_ahead: ClassVar[int] = 2**20
    looks: ClassVar[int] = 2_000
    store: ObjectStore
    address: str

    def entries(self) -> Iterator[Entry]:
        folders: set[str] = set()
        for listed in self.store.list_all(""):  # no picture is passed over without a word
            parts = listed.key.split("/")
            if len(parts) > 1 and parts[0] and parts[0] not in folders:
                folders.add(parts[0])
                yield Entry(parts[0], EntryKind.FOLDER)
            # Consoles make empty objects that stand for folders.
            if parts[-1]:
                is_left = any(map(is_system_file, parts))
                yield Entry(listed.key, EntryKind.SYSTEM if is_left else EntryKind.FILE)

    def files(self) -> Iterator[str]:
        for name, kind in self.entries():
            if kind is EntryKind.FILE and "/" not in name:
                yield name

    def directly(self, folder: str = "") -> Iterator[Entry]:
        above, seen = f"{folder}/" if folder else "", set[str]()
        for listed in self.store.list_all(above):
            name, slash, _ = listed.key.removeprefix(above).partition("/")
            if name and name not in seen:
                seen.add(name)
                kind = EntryKind.FOLDER if slash else EntryKind.FILE
                yield Entry(name, EntryKind.SYSTEM if is_system_file(name) else kind)

    def has(self, name: str) -> bool:
        try:
            self.store.get_range(name, 0, 1)
        except NotFoundError:
            return False
        return True

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        if length is None:
            return self.store.get(name).data[start:]
        return self.store.get_range(name, start, length)

    def size(self, name: str) -> int:
        above = f"{posixpath.dirname(name)}/" if "/" in name else ""
        for listed in self.store.list_all(above):
            if listed.key == name:
                return listed.size_bytes
        raise NotFoundError(f"no object {name!r} in {self.address}")

    def origin(self, name: str) -> str:
        return one_line(f"{self.address}/{name}")

    def resolved(self, path: str) -> str:
        # Whether an object is called so, no list is worth a request for every row of it.
        name = posixpath.normpath(path.replace("\\", "/"))
        if name.startswith(("/", "../")):
            raise InputError(
                f"expected a path below {self.address}, where the list is, found {path!r}"
            )
        return name
