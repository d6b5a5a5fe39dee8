"""Folders of files, on this machine or below a prefix of an object store.

Whatever reads a source asks a place, so that a source is the same thing wherever it lies.
"""

import os
import posixpath
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from adapters.errors import InputError, NotFoundError
from workers.store.base import ObjectStore


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """What lies in a place; names that begin with a dot are left out.

    Attributes:
        files: Names of its files, sorted.
        folders: Names of its folders, sorted, and the files of each as `folder/file`, sorted.
    """

    files: tuple[str, ...]
    folders: Mapping[str, tuple[str, ...]]


class Place(ABC):
    """A folder of files. Names are relative to it. Safe to use from many threads."""

    read_ahead: ClassVar[int]
    """Bytes worth reading at once where a file is read piece by piece."""

    @abstractmethod
    def tree(self) -> Tree:
        """Return what lies here, one folder deep."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Return whether there is a file called `name`."""

    @abstractmethod
    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        """Return the bytes of a file from `start` on: all, or up to `length`.

        Raises:
            NotFoundError: it cannot be read; the message is the reason.
            UnavailableError: the store cannot be reached.
        """

    @abstractmethod
    def origin(self, name: str) -> str:
        """Return where `name` is, for messages."""

    @abstractmethod
    def resolved(self, path: str) -> str:
        """Return the name of the file that a list in this place calls `path`.

        Raises:
            InputError: it lies outside of what this place can read.
        """


@dataclass(frozen=True, slots=True)
class LocalPlace(Place):
    """A folder of this machine.

    Attributes:
        folder: Where it is.
        within: Nothing outside of this folder is looked at or read, wherever names and links lead;
            None for no such limit.
    """

    read_ahead: ClassVar[int] = 4096
    folder: Path
    within: Path | None = None

    def _path(self, name: str = "") -> Path:
        """Return where `name` is; InputError where that is outside of what may be read."""
        path = self.folder / name
        if self.within is not None and not path.resolve().is_relative_to(self.within.resolve()):
            raise InputError(
                f"expected a path inside of what was sent, found {name or str(self.folder)!r}, "
                "which leads outside",
                path=name,
            )
        return path

    def tree(self) -> Tree:
        files, folders = [], {}
        for entry in _visible(self._path()):
            if entry.is_dir():
                inside_of = _visible(self._path(entry.name))
                inner = (inside.name for inside in inside_of if not inside.is_dir())
                folders[entry.name] = tuple(sorted(f"{entry.name}/{name}" for name in inner))
            else:
                files.append(entry.name)
        return Tree(files=tuple(sorted(files)), folders=dict(sorted(folders.items())))

    def has(self, name: str) -> bool:
        return self._path(name).is_file()

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        try:
            with self._path(name).open("rb") as file:
                file.seek(start)
                return file.read(length)
        except OSError as error:
            raise NotFoundError(error.strerror or repr(error)) from error

    def origin(self, name: str) -> str:
        return str(self.folder / name)

    def resolved(self, path: str) -> str:
        self._path(path)
        return path


@dataclass(frozen=True, slots=True)
class StoredPlace(Place):
    """A prefix of an object store.

    Attributes:
        store: Opened at the prefix.
        address: Of the prefix, without a query or a slash at its end, for messages.
    """

    read_ahead: ClassVar[int] = 2**20
    store: ObjectStore
    address: str

    def tree(self) -> Tree:
        files: list[str] = []
        folders: dict[str, list[str]] = {}
        for listed in self.store.list(""):
            first, *rest = listed.key.split("/")
            # Consoles make empty objects that stand for folders; the prefix's own has no name here.
            if not first or any(part.startswith(".") for part in (first, *rest)):
                continue
            if not rest:
                files.append(first)
                continue
            inner = folders.setdefault(first, [])
            if len(rest) == 1:
                inner.append(listed.key)
        sorted_folders = {name: tuple(sorted(folders[name])) for name in sorted(folders)}
        return Tree(files=tuple(sorted(files)), folders=sorted_folders)

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

    def origin(self, name: str) -> str:
        return f"{self.address}/{name}"

    def resolved(self, path: str) -> str:
        name = posixpath.normpath(path)
        if name.startswith(("/", "../")):
            raise InputError(
                f"expected a path below {self.address}, where the list is, found {path!r}"
            )
        return name


def _visible(folder: Path | str) -> list["os.DirEntry[str]"]:
    with os.scandir(folder) as entries:
        return [entry for entry in entries if not entry.name.startswith(".")]
