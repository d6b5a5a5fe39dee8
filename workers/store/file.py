"""File-system object store: a folder with the guarantees of an object store on one machine.

Bytes are written under a unique temporary name, flushed to disk, and only then given their key
by a link (exclusive) or a rename. Writers of one key take turns by a file lock, which the system
releases when a process dies, so a kill at any instant leaves either the old or the new bytes.

    ROOT/<key>          the objects
    ROOT/.writing/      files under their temporary names; the leftovers of killed writers
    ROOT/.locks/00..3f  a key's lock is chosen by its hash

Whether the folder is there at all, `workers.store.folder` knows.
"""

import errno
import fcntl
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from adapters.errors import (
    ConflictError,
    InputError,
    NacreError,
    NotFoundError,
    StoreRefusedError,
    UnavailableError,
    UnknownOutcomeError,
)
from workers.store.answers import Meaning, of_os_error
from workers.store.base import (
    Listed,
    Object,
    ObjectStore,
    check_conditional,
    check_etag,
    check_key,
    check_prefix,
    is_key,
)
from workers.store.folder import StoreFolder

LOCK_STRIPES = 64
_WRITING = ".writing"
_LOCKS = ".locks"


class FileStore(ObjectStore):
    """Objects as files under `root`, shared safely by the processes of one machine.

    Args:
        root: The folder.
        existing: Whether it must be there; otherwise it is made when something is written.

    Raises:
        SettingsError: There can be no store.
        UnavailableError: It is not there, and was in this process or must be.
    """

    def __init__(self, root: Path | str, *, existing: bool = False) -> None:
        self._root = Path(root).absolute()
        self._folder = StoreFolder(self._root, inner=(_WRITING, _LOCKS))
        self._folder.open(existing=existing)
        self._url, self._inside = self._root.as_uri(), f"{self._root}/"

    def __reduce__(self) -> tuple[object, ...]:
        return _opened, (str(self._root), self._folder.must_be_there)

    @property
    def is_there(self) -> bool:
        """Whether the folder is a store by now, with objects or without."""
        return self._folder.is_there

    @property
    def at_hand(self) -> bool:
        return True

    @property
    def url(self) -> str:
        return self._url

    def get(self, key: str) -> Object:
        data = self._read(key)
        return Object(data=data, etag=_etag(data))

    def get_range(self, key: str, start: int, length: int) -> bytes:
        with self._reading(key), self._open(key) as file:
            file.seek(start)
            # No more than is there: room for all that is asked for would be made beforehand.
            data = file.read(min(length, max(0, os.fstat(file.fileno()).st_size - start)))
        self._folder.note_held()
        return data

    def put(self, key: str, data: bytes) -> None:
        with self._writing(key), self._locked(key), self._written(key, data) as temporary:
            path = self._path(key)
            temporary.replace(path)
            _flush_folder(path.parent)

    def create(self, key: str, data: bytes) -> str:
        check_conditional(key, data)
        with self._writing(key), self._locked(key), self._written(key, data) as temporary:
            path = self._path(key)
            try:
                os.link(temporary, path)
            except FileExistsError as error:
                raise ConflictError(
                    f"{key!r} exists already in {self.url}; nothing was written", key=key
                ) from error
            self._settle(path)
        return _etag(data)

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        check_conditional(key, data)
        with self._writing(key), self._locked(key):
            found = self._current_etag(key)
            check_etag(self, key, expected=expected_etag, found=found)
            with self._written(key, data) as temporary:
                path = self._path(key)
                temporary.replace(path)
                self._settle(path)
        return _etag(data)

    def list(self, prefix: str) -> Iterator[Listed]:
        return (listed for listed in self.list_all(prefix) if is_key(listed.key))

    def list_all(self, prefix: str) -> Iterator[Listed]:
        top, empty = self._root / check_prefix(prefix), True
        for folder, folders, names in os.walk(top, onerror=partial(self._unlisted, prefix)):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                path = Path(folder, name)
                with suppress(NotFoundError), self._reading(prefix):  # deleted since it was read
                    status = path.stat()
                    key = path.relative_to(self._root).as_posix()
                    empty = empty and not is_key(key)
                    yield Listed(key=key, size_bytes=status.st_size, modified=status.st_mtime)
        if empty:
            self._folder.check_there()
        else:
            self._folder.note_held()

    def delete(self, key: str) -> None:
        with self._writing(key), self._locked(key):
            path = self._path(key)
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return
            _flush_folder(path.parent)
            self._folder.note_deleted()

    def sweep(self, before: float) -> int:
        removed = 0
        with suppress(NotFoundError), self._reading(_WRITING):  # of a store that is not made yet
            for path in (self._root / _WRITING).iterdir():
                with suppress(FileNotFoundError):  # its writer has just finished
                    if path.stat().st_mtime < before:
                        path.unlink()
                        removed += 1
        return removed

    def _path(self, key: str) -> Path:
        return self._root / check_key(key)

    def _open(self, key: str) -> BinaryIO:
        # By no `Path`, which takes as long to make as a small object takes to read.
        return open(self._inside + check_key(key), "rb")  # noqa: PTH123

    def _read(self, key: str) -> bytes:
        with self._reading(key), self._open(key) as file:
            data = file.read()
        self._folder.note_held()
        return data

    def _current_etag(self, key: str) -> str | None:
        try:
            return _etag(self._read(key))
        except NotFoundError:
            return None

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            self._folder.check_there()
            raise NotFoundError(f"no object {key!r} in {self.url}", key=key) from error
        except OSError as error:
            raise self._explained(key, error) from error

    @contextmanager
    def _writing(self, key: str) -> Iterator[None]:
        self._folder.prepare()
        try:
            yield
        except OSError as error:
            raise self._explained(key, error) from error

    def _unlisted(self, prefix: str, error: OSError) -> None:
        """Raise, unless it is only that nothing lies below a prefix of a store that is there."""
        with suppress(NotFoundError), self._reading(prefix):
            raise error

    def _settle(self, path: Path) -> None:
        """Make a name durable; where that fails nobody knows whether it is."""
        try:
            _flush_folder(path.parent)
        except OSError as error:
            key = path.relative_to(self._root).as_posix()
            raise UnknownOutcomeError(
                f"{key!r} was written in {self.url} and may be lost if the power fails ({error}); "
                "read it again before anything else",
                key=key,
            ) from error

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        stripe = hashlib.sha256(check_key(key).encode()).digest()[0] % LOCK_STRIPES
        with (self._root / _LOCKS / f"{stripe:02x}").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # released by closing, or by dying
            yield

    @contextmanager
    def _written(self, key: str, data: bytes) -> Iterator[Path]:
        """Give a flushed temporary file with `data`, and the folder of `key` to move it to."""
        temporary = self._root / _WRITING / uuid.uuid4().hex
        try:
            _make_folder(self._path(key).parent)
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
            self._folder.note_held()
        finally:
            with suppress(OSError):  # what failed before is what is told
                temporary.unlink(missing_ok=True)

    def _explained(self, key: str, error: OSError) -> NacreError:
        if not self._folder.is_there:  # whatever became of it: no key is at fault
            return self._folder.gone()
        if isinstance(error, (FileExistsError, NotADirectoryError, IsADirectoryError)):
            return InputError(f"{key!r} is a folder of other keys, or lies below a key", key=key)
        meaning, reason = of_os_error(error).meaning, error.strerror or repr(error)
        if meaning is Meaning.ABSENT:  # its own folders
            return self._folder.gone()
        if meaning is Meaning.REFUSED:
            return StoreRefusedError(
                f"{key!r} in {self.url}: {reason}; let this user read and write there",
                key=key,
            )
        if meaning is Meaning.FINAL:
            return InputError(f"{key!r} cannot be kept in {self.url}: {reason}", key=key)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return UnavailableError(f"no space is left for {key!r} in {self.url}", key=key)
        return UnavailableError(
            f"{key!r} in {self.url} can be neither read nor written now: {reason}", key=key
        )


def _opened(root: str, existing: bool) -> FileStore:
    """Return a store that was sent here; it must be there where it was before."""
    return FileStore(root, existing=existing)


def _make_folder(folder: Path) -> None:
    """Make `folder` and its parents so that they survive a loss of power."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _etag(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
