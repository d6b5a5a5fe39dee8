"""Disk cache of blobs: a bounded folder on this host, for all its processes, checked on every read.

DIRECTORY/<digest>   one blob; its modification time is when it was last used
DIRECTORY/.usage     the bytes in the folder, owned by whoever locks the file
DIRECTORY/.<random>  a blob being written
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from adapters.errors import InputError
from workers.store.blobs import BlobRef, blob_ref

_USAGE = ".usage"


class BlobCache:
    """Keeps the most recently used blobs, at most `max_bytes` of them.

    A damaged file counts as absent and is removed; a process that dies while writing leaves a
    hidden file that the next eviction removes. Nothing is flushed. A disk that is full, failing or
    read-only is no error: what is there is read, and what is not is fetched again.

    Args:
        directory: The folder; made when it is missing. Any number of processes may share it.
        max_bytes: Most bytes of blobs in the folder, for all processes together.
    """

    def __init__(self, directory: Path | str, max_bytes: int) -> None:
        if max_bytes <= 0:
            raise InputError(f"a cache needs room: expected max_bytes above 0, found {max_bytes}")
        self._directory = Path(directory).absolute()
        self._max_bytes = max_bytes

    def get(self, ref: BlobRef) -> bytes | None:
        """Return the blob's checked bytes, or None when they are not here."""
        path = self._directory / ref.sha256
        try:
            data = path.read_bytes()
        except OSError:
            return None
        whole = blob_ref(data) == ref
        with suppress(OSError):  # of a folder that may only be read
            if whole:
                os.utime(path)
            else:
                self.discard(ref.sha256)
        return data if whole else None

    def put(self, ref: BlobRef, data: bytes) -> None:
        """Keep `data`, whose reference is `ref`, and let the least recently used blobs go."""
        if ref.size <= self._max_bytes:
            with suppress(OSError):  # which must not keep anybody from reading the store
                self._put(self._directory / ref.sha256, ref.size, data)

    def _put(self, path: Path, size: int, data: bytes) -> None:
        if path.exists():
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        temporary = self._directory / f".{uuid.uuid4().hex}"
        with self._usage() as usage:
            used = _read_number(usage) + size
            if used > self._max_bytes:
                used = self._evict(self._max_bytes - size) + size
            try:
                temporary.write_bytes(data)
                temporary.replace(path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
            _write_number(usage, used)

    def discard(self, sha256: str) -> None:
        """Forget one blob, for instance because it was purged; OSError where it cannot be."""
        (self._directory / sha256).unlink(missing_ok=True)

    def size_bytes(self) -> int:
        """Return how many bytes of blobs are here now."""
        return sum(size for _, size, _ in self._files() if size)

    def _evict(self, limit: int) -> int:
        """Remove the blobs used longest ago until at most `limit` bytes remain; return those."""
        files = sorted(self._files())
        used = sum(size for _, size, _ in files)
        for _, size, path in files:
            # Hidden files belong to writers that died: a living one would hold the lock.
            if used <= limit and not path.name.startswith("."):
                continue
            path.unlink(missing_ok=True)
            used -= size
        return used

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        for path in self._directory.iterdir():
            with suppress(FileNotFoundError):
                status = path.stat()
                if path.name != _USAGE:
                    yield status.st_mtime_ns, status.st_size, path

    @contextmanager
    def _usage(self) -> Iterator[BinaryIO]:
        with (self._directory / _USAGE).open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def _read_number(file: BinaryIO) -> int:
    file.seek(0)
    text = file.read()
    # An unreadable number (a writer died in between) counts as full, which recounts the folder.
    return int(text) if text.isdigit() else 2**62


def _write_number(file: BinaryIO, number: int) -> None:
    file.seek(0)
    file.truncate()
    file.write(b"%d" % number)
