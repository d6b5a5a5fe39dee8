"""Export and import of a version as one tar file that any tar program can list and unpack.

version.json          the manifest as it was published
accuracies.json       what was measured of it; only where something was
records/<sha256>      the records and the shared state, each under its digest
"""

import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from adapters.errors import CorruptionError, InputError, NotFoundError, SettingsError
from workers.formats.tar_headers import Kind
from workers.formats.tar_members import bounded_members
from workers.progress_callbacks import ProgressCallback
from workers.registry.adapter import RegisteredAdapter
from workers.registry.commit import AddRecord, Commit, SetShared, Update
from workers.registry.documents.accuracy import accuracies_from_bytes, accuracies_to_bytes
from workers.registry.documents.history import Action, Author
from workers.registry.documents.layout import HEAD
from workers.registry.documents.manifest import Manifest, manifest_from_bytes
from workers.registry.reader import AdapterReader
from workers.registry.requirements import HeadIs
from workers.store.blobs import BlobRef, verified

_MANIFEST = "version.json"
_ACCURACIES = "accuracies.json"


def export_version(
    reader: AdapterReader,
    version: int | str,
    path: Path,
    *,
    progress: ProgressCallback | None = None,
) -> Manifest:
    """Write a version to the file `path`, which must not exist, and return its manifest.

    The same version gives the same bytes every time. Nothing is left behind on failure.

    Args:
        reader: The adapter.
        version: An alias or a number.
        path: The file.
        progress: Called with tasks written so far, and tasks to write.

    Raises:
        InputError: The file exists.
        NotFoundError: There is no such version, or one of its tasks was purged.
    """
    manifest = reader.manifest(version)
    with _new_file(path) as file, tarfile.open(fileobj=file, mode="w") as archive:
        _add(archive, _MANIFEST, manifest.to_bytes())
        accuracies = reader.accuracies(manifest.number)
        if accuracies:
            _add(archive, _ACCURACIES, accuracies_to_bytes(accuracies))
        shared = reader.shared_bytes(manifest)
        if manifest.shared and shared is not None:
            _add(archive, f"records/{manifest.shared.sha256}", shared)
        for number, task in enumerate(manifest.tasks, 1):
            _add(archive, f"records/{task.record.sha256}", reader.record_bytes(task))
            if progress:
                progress(number, len(manifest.tasks))
    return manifest


def import_version(
    adapter: RegisteredAdapter, path: Path, *, by: Author, aliases: tuple[str, ...] = (HEAD,)
) -> Manifest:
    """Publish the version in the file `path` as a new version, and return its manifest.

    It has no parent. All bytes are checked before anything is written.

    Args:
        adapter: The adapter; its encoder must be the one of the file.
        path: A file written by `export_version`.
        by: Who does it, why and when.
        aliases: These point to the new version. `head` only where the adapter is empty: its tasks
            would silently disappear from what the next task builds on.

    Raises:
        InputError: It is no such file, or `head` exists already.
        CorruptionError: The file is damaged.
        EncoderMismatchError: The adapter was learnt with another encoder.
    """
    if HEAD in aliases and adapter.refs().find(HEAD):
        raise InputError(
            f"adapter {adapter.name!r} has versions already: import under another alias, then "
            "roll back to that alias to build on it",
            adapter=adapter.name,
        )
    with _opened(path) as archive:
        manifest = manifest_from_bytes(archive.read(_MANIFEST), f"{_MANIFEST} in {path}")
        measured = archive.read(_ACCURACIES) if _ACCURACIES in archive.members else None
        commit = Commit(
            updates=_updates(archive, manifest),
            encoder=manifest.encoder,
            method=manifest.method,
            settings=manifest.settings,
            provenance=manifest.provenance,
            accuracies=accuracies_from_bytes(measured, str(path)) if measured else (),
            base=None,
            aliases=aliases,
            requirements=(HeadIs(None),) if HEAD in aliases else (),
            action=Action.IMPORT,
        )
        for payload in commit.payloads:
            payload.read()
        return adapter.commit(commit, by=by)


@dataclass(frozen=True, slots=True)
class _Archive:
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
class _Packed:
    """A record inside an archive, read and checked whenever it is needed."""

    archive: _Archive
    ref: BlobRef

    def read(self) -> bytes:
        name = f"records/{self.ref.sha256}"
        return verified(self.archive.read(name), self.ref, f"{name} in {self.archive.path}")


def _updates(archive: _Archive, manifest: Manifest) -> tuple[Update, ...]:
    tasks = (
        AddRecord(
            task=task.task,
            submission=task.submission,
            record=_Packed(archive, task.record.ref),
            classes=task.classes,
        )
        for task in manifest.tasks
    )
    shared = _Packed(archive, manifest.shared.ref) if manifest.shared else None
    return (*tasks, SetShared(state=shared))


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


@contextmanager
def _opened(path: Path) -> Iterator[_Archive]:
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise NotFoundError(f"expected an exported version at {path}, found none") from error
    except OSError as error:
        raise InputError(
            f"{path} is not an exported version: {error.strerror}", path=str(path)
        ) from error
    with file:
        yield _Archive(path, file, dict(_members(path, file)))


def _members(path: Path, file: BinaryIO) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield where each file in an archive lies; all of it is looked at before anything is read."""
    seen = 0
    try:
        for member in bounded_members(file):
            seen += 1
            if member.kind is Kind.FILE:
                yield member.name, (member.start, member.size)
    except (SettingsError, OSError) as error:
        reason = error.message if isinstance(error, SettingsError) else error.strerror
        if seen:
            raise CorruptionError(f"{path} is damaged: {reason}; export it again") from error
        raise InputError(f"{path} is not an exported version: {reason}", path=str(path)) from error


@contextmanager
def _new_file(path: Path) -> Iterator[IO[bytes]]:
    try:
        file = path.open("xb")
    except FileExistsError as error:
        raise InputError(f"{path} exists already; choose another name", path=str(path)) from error
    try:
        with file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise
