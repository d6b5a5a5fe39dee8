"""Reading of a version that was exported, from one tar file that anybody may have changed since."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from adapters.errors import CorruptionError, InputError, NotFoundError, SettingsError
from workers.formats.tar_headers import Kind
from workers.formats.tar_members import bounded_members
from workers.store.blobs import BlobRef, verified


@dataclass(frozen=True, slots=True)
class Archive:
    """A file that was exported, as somebody may have changed it since.

    Attributes:
        path: Where it is.
        file: The same, opened.
        members: First byte and size of each file in it, by name.
    """

    path: Path
    file: BinaryIO
    members: Mapping[str, tuple[int, int]]

    def read(self, name: str) -> bytes:
        """Return the content of the member called `name`."""
        if name not in self.members:
            raise CorruptionError(f"{name} is missing in {self.path}: export the version again")
        start, size = self.members[name]
        self.file.seek(start)
        return self.file.read(size)


@dataclass(frozen=True, slots=True)
class Packed:
    """A record inside an archive, read and checked whenever it is needed."""

    archive: Archive
    ref: BlobRef

    def read(self) -> bytes:
        """Return the bytes; CorruptionError where they are not those that were exported."""
        name = f"records/{self.ref.sha256}"
        return verified(self.archive.read(name), self.ref, f"{name} in {self.archive.path}")


def open_file(path: Path) -> BinaryIO:
    """Open the file at `path`, in which a version should be; the caller closes it.

    Raises:
        NotFoundError: There is none.
        InputError: It is no file.
    """
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise NotFoundError(f"expected an exported version at {path}, found none") from error
    except OSError as error:
        raise InputError(
            f"{path} is not an exported version: {error.strerror}", path=str(path)
        ) from error


@contextmanager
def opened_archive(path: Path) -> Iterator[Archive]:
    """Open the file at `path`, and look at all of it.

    Raises:
        NotFoundError: There is none.
        InputError: It is no such file.
        CorruptionError: It is damaged.
    """
    with open_file(path) as file:
        yield Archive(path, file, dict(_members(path, file)))


def _members(path: Path, file: BinaryIO) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield where each file in an archive lies; all of it is looked at before anything is read."""
    seen = 0
    try:
        for member in bounded_members(file):
            seen += 1
            if member.kind is Kind.FILE:
                yield member.name, (member.start, member.size)
    except (SettingsError, OSError) as error:
        reason = error.message if isinstance(error, SettingsError) else str(error.strerror)
        if seen:
            what, _, _ = reason.partition("; ")  # behind it, what is to be done with any archive
            raise CorruptionError(f"{path} is damaged: {what}; export it again") from error
        raise InputError(f"{path} is not an exported version: {reason}", path=str(path)) from error
