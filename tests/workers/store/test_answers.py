"""The table of a store's answers, row by row, and through a folder whose file system goes wrong."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.errors import InputError, NotFoundError, StoreRefusedError, UnavailableError
from workers.store.answers import BY_ERRNO, Meaning, of_answer, of_os_error
from workers.store.base import ObjectStore
from workers.store.file import FileStore

PASSING, REFUSED, FINAL = Meaning.PASSING, Meaning.REFUSED, Meaning.FINAL

ANSWERS = [
    (429, None, PASSING, False),
    (429, "SlowDown", PASSING, False),
    (503, "SlowDown", PASSING, False),  # the code knows that nothing has happened
    (503, "SlowDownWrite", PASSING, True),  # less than a majority of the drives may keep it
    (503, None, PASSING, True),
    (500, "InternalError", PASSING, True),
    (507, "XMinioStorageFull", PASSING, False),
    (400, "RequestTimeout", PASSING, True),
    (408, None, PASSING, True),
    (425, None, PASSING, False),
    (400, "ExpiredToken", REFUSED, False),
    (403, "RequestTimeTooSkewed", REFUSED, False),
    (403, "InvalidAccessKeyId", REFUSED, False),
    (403, "SomethingNew", REFUSED, False),
    (401, None, REFUSED, False),
    (404, "NoSuchBucket", REFUSED, False),
    (404, "NoSuchKey", Meaning.ABSENT, False),
    (412, "PreconditionFailed", Meaning.LOST, False),
    (409, "OperationAborted", PASSING, False),
    (400, "InvalidArgument", FINAL, False),
    (405, "MethodNotAllowed", FINAL, False),
    (501, "NotImplemented", FINAL, False),
]


@pytest.mark.parametrize(("status", "code", "meaning", "in_doubt"), ANSWERS)
def test_an_answer_of_a_server_means(
    status: int, code: str | None, meaning: Meaning, in_doubt: bool
) -> None:
    answer = of_answer(status, code)
    assert (answer.meaning, answer.in_doubt) == (meaning, in_doubt)


def test_an_error_number_that_nobody_knows_passes_until_it_is_proved_final() -> None:
    assert of_os_error(OSError(4711, "something new")).meaning is PASSING
    assert of_os_error(OSError("without a number")).meaning is PASSING


ERRORS = {
    PASSING: UnavailableError,
    REFUSED: StoreRefusedError,
    FINAL: InputError,
    Meaning.ABSENT: UnavailableError,  # its own folders: the store is gone
}
Operation = Callable[[ObjectStore], object]
OPERATIONS: list[Operation] = [
    lambda store: store.put("a/b", b"1"),
    lambda store: store.create("a/c", b"1"),
    lambda store: store.get("a/b"),
    lambda store: store.get_range("a/b", 0, 1),
    lambda store: store.delete("a/b"),
]


def everything(store: ObjectStore) -> object:
    return list(store.list(""))


class FailingFiles(FileStore):
    """A folder whose locks and files cannot be opened: the operating system says why."""

    def __init__(self, root: Path, number: int) -> None:
        super().__init__(root)
        self._number = number

    def _path(self, key: str) -> Path:
        raise OSError(self._number, os.strerror(self._number), key)

    def _open(self, key: str) -> Any:
        raise OSError(self._number, os.strerror(self._number), key)

    def _locked(self, key: str) -> Any:
        raise OSError(self._number, os.strerror(self._number), key)


@pytest.mark.parametrize("number", [*BY_ERRNO, 4711])
def test_every_error_of_the_operating_system_is_one_of_ours(tmp_path: Path, number: int) -> None:
    FileStore(tmp_path).put("a/b", b"1")
    expected = ERRORS[of_os_error(OSError(number, "")).meaning]
    if number in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOENT):
        pytest.skip("what these mean depends on the operation; see test_file.py")
    for operation in OPERATIONS:
        with pytest.raises(expected):
            operation(FailingFiles(tmp_path, number))


def test_a_folder_that_has_gone_away_is_no_store_without_objects(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    store.put("a/b", b"1")
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    for operation in (*OPERATIONS, everything):
        with pytest.raises(UnavailableError, match="is gone"):
            operation(store)
    (tmp_path / "elsewhere").rename(tmp_path / "store")
    assert store.get("a/b").data == b"1"
    with pytest.raises(NotFoundError):
        store.get("a/c")
    assert list(store.list("nothing/")) == []
