"""Versions as files over HTTP: one that is received, checked by its digest; one that is sent."""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cluster.client.remote.progress import UNIT, Watched
from cluster.wire.outputs.versions import ExportedVersion
from workers.progress_callbacks import ProgressCallback
from workers.registry.archive import new_file
from workers.registry.archive_reading import open_file

_NAME = re.compile(r'filename="(?P<adapter>.+)-(?P<version>[0-9]+)\.tar"')


class ReceivedFile:
    """A new file that a version is written to; nothing is left of one that breaks off.

    Args:
        path: Where it is written.
        on_progress: Called with mebibytes received and mebibytes in all.
    """

    # Owns: the file, while it is open.

    def __init__(self, path: Path, on_progress: ProgressCallback) -> None:
        self._path, self._on_progress = path, on_progress
        self._file: IO[bytes]

    @contextmanager
    def opened(self) -> Iterator[Mapping[str, object]]:
        """Make the file for as long as this lasts; it stays where all goes well.

        Raises:
            InputError: there is one.
        """
        with new_file(self._path) as self._file:
            yield {}

    def reading(self, headers: Mapping[str, str]) -> "ReceivedArchive":
        """Return what writes an answer with these headers to the file, from its beginning."""
        self._file.seek(0)
        self._file.truncate()
        return ReceivedArchive(self._file, self._path, headers, self._on_progress)


class ReceivedArchive:
    """An answer that is a version as a tar file; see `Reading`.

    Args:
        file: It is written to this.
        path: Of the file.
        headers: Say how long it is, what its digest is, and which version it is.
        on_progress: Called with mebibytes received and mebibytes in all.
    """

    # Owns: the digest so far.

    def __init__(
        self,
        file: IO[bytes],
        path: Path,
        headers: Mapping[str, str],
        on_progress: ProgressCallback,
    ) -> None:
        self._file, self._path = file, path
        self._headers, self._on_progress = headers, on_progress
        self._total = int(headers.get("content-length", 0))
        self._digest = hashlib.sha256()

    @property
    def begun(self) -> str:
        """See `Reading`."""
        return self._headers.get("content-type", "no tar")

    def take(self, piece: bytes) -> None:
        """See `Reading`."""
        self._file.write(piece)
        self._digest.update(piece)
        self._on_progress(self._file.tell() // UNIT, -(-self._total // UNIT))

    def answer(self) -> ExportedVersion:
        """See `Reading`."""
        named = _NAME.search(self._headers.get("content-disposition", ""))
        if named is None:
            raise ValueError(self.begun)
        said = f"sha-256=:{b64encode(self._digest.digest()).decode()}:"
        if self._file.tell() != self._total or self._headers.get("repr-digest", said) != said:
            raise EOFError
        return ExportedVersion(
            adapter=named["adapter"],
            version=int(named["version"]),
            file=str(self._path),
            size_bytes=self._total,
        )


@contextmanager
def sent_archive(
    path: Path, fields: Mapping[str, object], on_progress: ProgressCallback
) -> Iterator[Mapping[str, object]]:
    """Give the form that sends a version's file, which is open as long as this lasts.

    Args:
        path: The file.
        fields: The other parts of the form.
        on_progress: Called with mebibytes sent and mebibytes in all.

    Raises:
        InputError: there is no such file.
    """
    with open_file(path) as file:
        yield {
            "files": {"archive": (path.name, Watched(file, on_progress))},
            "data": fields,
        }
