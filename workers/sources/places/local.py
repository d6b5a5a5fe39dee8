"""Places on this machine: folders, their files and links."""

import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from adapters.errors import InputError, NotFoundError, one_line
from workers.sources.places.place import Entry, EntryKind, Place
from workers.sources.places.system_files import is_system_file


@dataclass(frozen=True, slots=True)
class LocalPlace(Place):
    """A folder of this machine.

    Attributes:
        folder: Where it is.
        within: Nothing outside of this folder is looked at or read, wherever names and links lead;
            None for no such limit.
    """

    read_ahead: ClassVar[int] = 4096
    looks: ClassVar[int] = 100_000
    folder: Path
    within: Path | None = None

    def _path(self, name: str = "") -> Path:
        """Return where `name` is; InputError where that is outside of what may be read."""
        path = self.folder / name
        if self.within is not None and not path.resolve().is_relative_to(self.within.resolve()):
            raise InputError(
                f"expected a path inside of what was sent, found {name or self.folder.name!r}, "
                "which leads outside",
                path=name,
            )
        return path

    def entries(self) -> Iterator[Entry]:
        folders = [""]
        while folders:
            folder = folders.pop()
            for name, entry in self._listed(folder):
                if entry is None:
                    yield Entry(name, EntryKind.CLOSED)
                    continue
                kind = self._kind(name, entry)
                if kind is not EntryKind.FOLDER or "/" not in name:
                    yield Entry(name, kind)
                if kind is EntryKind.FOLDER:
                    folders.append(f"{name}/")

    def files(self) -> Iterator[str]:
        for name, entry in self._listed(""):
            if entry is not None and self._kind(name, entry) is EntryKind.FILE:
                yield name

    def directly(self, folder: str = "") -> Iterator[Entry]:
        for _, entry in self._listed(f"{folder}/" if folder else ""):
            if entry is not None:
                yield Entry(entry.name, self._kind(entry.name, entry))

    def _listed(self, folder: str) -> Iterator[tuple[str, "os.DirEntry[str] | None"]]:
        """Yield what lies in `folder`, by name; the folder and None where nobody may look."""
        path = self._path(folder)
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    yield f"{folder}{entry.name}", entry
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFoundError(
                f"expected a folder at {self.origin(folder)}, found nothing"
            ) from error
        except OSError as error:
            if folder.count("/") > 1:
                yield folder.rstrip("/"), None
                return
            raise InputError(
                f"the folder {self.origin(folder)} cannot be listed: {error.strerror}; let the "
                "user who submits read it, or take it out",
                path=self.origin(folder),
            ) from error

    def _kind(self, name: str, entry: "os.DirEntry[str]") -> EntryKind:
        if is_system_file(entry.name):
            return EntryKind.SYSTEM
        try:
            if entry.is_dir():
                is_class = "/" not in name and not self._is_above(entry)
                return EntryKind.FOLDER if is_class or not entry.is_symlink() else EntryKind.LINK
            if entry.is_file():
                return EntryKind.FILE
            mode = entry.stat(follow_symlinks=False).st_mode
            return EntryKind.LINK if stat.S_ISLNK(mode) else EntryKind.SPECIAL
        except OSError:  # a link to itself
            return EntryKind.LINK

    def _is_above(self, entry: "os.DirEntry[str]") -> bool:
        """Return whether an entry is a link to a folder that holds this one."""
        if not entry.is_symlink():
            return False
        return self.folder.resolve().is_relative_to(Path(entry.path).resolve())

    def has(self, name: str) -> bool:
        try:
            return self._path(name).is_file()
        except (OSError, ValueError, InputError):  # no file has such a name, or nobody may look
            return False

    def read(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        try:
            with self._opened(name) as file:
                file.seek(start)
                return file.read(-1 if length is None else length)
        except (OSError, ValueError, OverflowError) as error:
            raise NotFoundError(_reason(self.folder / name, error)) from error

    def size(self, name: str) -> int:
        try:
            with self._opened(name) as file:
                return os.fstat(file.fileno()).st_size
        except (OSError, ValueError) as error:
            raise NotFoundError(_reason(self.folder / name, error)) from error

    def opened(self, name: str) -> io.RawIOBase:
        try:
            return self._opened(name)
        except (OSError, ValueError) as error:
            raise NotFoundError(_reason(self.folder / name, error)) from error

    def _opened(self, name: str) -> "_File":
        # Whoever opens a pipe waits until somebody writes into it.
        path = self._path(name)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            raise ValueError("it is a folder" if stat.S_ISDIR(mode) else "it is no regular file")
        return _File(descriptor, path)

    def origin(self, name: str) -> str:
        path = self.folder / name
        if self.within is not None and path.is_relative_to(self.within):
            # Whoever sent it knows it so, and nothing of where it has been put.
            path = path.relative_to(self.within)
        return one_line(str(path))

    def resolved(self, path: str) -> str:
        if "\\" in path and not self.has(path):  # as Windows writes it
            path = path.replace("\\", "/")
        if self.within is not None:
            self._path(path)
        return path


class _File(io.FileIO):
    """An open file; what goes wrong while it is read is told as what goes wrong before."""

    def __init__(self, descriptor: int, path: Path) -> None:
        super().__init__(descriptor)
        self._path = path

    def readinto(self, buffer: "memoryview | bytearray") -> int | None:  # type: ignore[override]
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise NotFoundError(_reason(self._path, error)) from error

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        try:
            return super().seek(offset, whence)
        except (OSError, OverflowError) as error:  # beyond what a disk can hold
            if whence == io.SEEK_END:
                raise NotFoundError(_reason(self._path, error)) from error
            raise NotFoundError("it ends too early") from None


def _reason(path: Path, error: Exception) -> str:
    """Return why a file cannot be read, in words."""
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return f"it is a link to {str(path.readlink())!r}, where nothing is"
    if isinstance(error, OSError):
        return error.strerror or repr(error)
    return "its name has a NUL" if "null" in str(error) else str(error)
