"""The store in a folder, and what is left of it when a writer is killed."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.errors import InputError, NotFoundError, SettingsError, UnavailableError
from tests.support.conformance.store import StoreSuite
from workers.store import FileStore, ObjectStore, open_local_store

COUNT_UP = """
import sys
from workers.store import FileStore
store = FileStore(sys.argv[1])
etag = store.create("count", b"0")
number = 0
while True:
    number += 1
    store.put(f"blobs/{number}", b"x" * 10_000)
    etag = store.replace("count", b"%d" % number, etag)
    print(number, flush=True)
"""


class TestFileStore(StoreSuite):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return FileStore(tmp_path / "store")


def test_the_url_leads_back_to_the_folder(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "with space")
    store.put("a", b"1")
    assert open_local_store(store.url).get("a").data == b"1"


@pytest.mark.parametrize("acknowledged", [1, 5, 20])
def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(
    tmp_path: Path, acknowledged: int
) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", COUNT_UP, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    last = [int(writer.stdout.readline()) for _ in range(acknowledged)][-1]
    os.kill(writer.pid, signal.SIGKILL)
    last = max(last, *(int(line) for line in writer.stdout if line.endswith("\n")), 0)
    writer.stdout.close()
    writer.wait()
    store = FileStore(tmp_path)
    count = int(store.get("count").data)
    assert count in (last, last + 1)
    assert all(store.get(f"blobs/{n}").data == b"x" * 10_000 for n in range(1, count + 1))
    store.replace("count", b"again", store.get("count").etag)  # no lock was left behind


def test_leftovers_of_killed_writers_are_hidden_and_swept(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("a", b"1")
    (tmp_path / ".writing" / "half").write_bytes(b"hal")
    assert [listed.key for listed in store.list("")] == ["a"]
    assert store.sweep(before=0.0) == 0
    assert store.sweep(before=2.0**40) == 1
    assert not list((tmp_path / ".writing").iterdir())


def test_a_key_cannot_be_a_folder_of_another(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("a/b", b"1")
    for key in ("a", "a/b/c"):
        with pytest.raises(InputError, match="folder"):
            store.put(key, b"2")
    assert not list((tmp_path / ".writing").iterdir())


def test_processes_that_add_to_one_counter_lose_nothing(tmp_path: Path) -> None:
    add = """
import sys
from adapters.errors import ConflictError
from workers.store import FileStore
store = FileStore(sys.argv[1])
for _ in range(25):
    while True:
        found = store.get("count")
        try:
            store.replace("count", b"%d" % (int(found.data) + 1), found.etag)
            break
        except ConflictError:
            continue
"""
    store = FileStore(tmp_path)
    store.create("count", b"0")
    writers = [subprocess.Popen([sys.executable, "-c", add, str(tmp_path)]) for _ in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    assert store.get("count").data == b"100"


@pytest.mark.parametrize("name", ["half\ud800", "zero\0byte", "n" * 300])
def test_a_folder_that_no_file_system_can_have_is_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="name another one in the store's URL") as caught:
        FileStore(tmp_path / name)
    caught.value.message.encode()


def test_a_folder_whose_name_is_no_utf_8_is_found_again_by_its_url(tmp_path: Path) -> None:
    store = FileStore(tmp_path / os.fsdecode(b"caf\xe9"))
    store.put("a", b"1")
    assert open_local_store(store.url).get("a").data == b"1"


def removed(root: Path) -> None:
    shutil.rmtree(root)


def unmounted(root: Path) -> None:
    """Leave the empty folder on which something was mounted."""
    shutil.rmtree(root)
    root.mkdir()


def emptied(root: Path) -> None:
    """Remove what `rm -r STORE/*` does: everything whose name has no dot in front."""
    for path in root.iterdir():
        if not path.name.startswith("."):
            shutil.rmtree(path)


def replaced_by_a_file(root: Path) -> None:
    shutil.rmtree(root)
    root.write_bytes(b"no folder")


WAYS = [
    (removed, "gone"),
    (unmounted, "gone"),
    (emptied, "found it empty"),
    (replaced_by_a_file, "a file in its place"),
]
OPERATIONS: dict[str, Callable[[ObjectStore], object]] = {
    "get": lambda store: store.get("a/b"),
    "get_range": lambda store: store.get_range("a/b", 0, 1),
    "put": lambda store: store.put("a/b", b"1"),
    "create": lambda store: store.create("a/c", b"1"),
    "replace": lambda store: store.replace("a/b", b"1", "0" * 64),
    "delete": lambda store: store.delete("a/b"),
    "list": lambda store: list(store.list("")),
    "list below": lambda store: list(store.list("a/")),
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
@pytest.mark.parametrize(("happens", "found"), WAYS)
def test_a_store_that_was_lost_is_waited_for_and_never_begun_anew(
    tmp_path: Path,
    happens: Callable[[Path], None],
    found: str,
    operation: Callable[[ObjectStore], object],
) -> None:
    root = tmp_path / "store"
    store = FileStore(root)
    store.put("a/b", b"1")
    shutil.copytree(root, tmp_path / "copy")
    happens(root)
    with pytest.raises(UnavailableError, match=found):
        operation(store)
    with pytest.raises(UnavailableError, match=found):
        FileStore(root)  # this process knows it
    assert not (root / "a").exists()
    shutil.rmtree(root, ignore_errors=True)
    root.unlink(missing_ok=True)
    (tmp_path / "copy").rename(root)
    assert store.get("a/b").data == b"1"


@pytest.mark.parametrize(("happens", "found"), WAYS)
def test_a_process_that_is_told_of_a_store_makes_none(
    tmp_path: Path, happens: Callable[[Path], None], found: str
) -> None:
    """What `nacre up` has started, and Ray starts again, knows nothing of what there was."""
    root = tmp_path / "store"
    FileStore(root).put("a/b", b"1")
    happens(root)
    code = f"from workers.store import FileStore; FileStore({str(root)!r}, existing=True)"
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if happens is emptied:  # its own folders are left: nobody can tell it from one without objects
        assert ended.returncode == 0
    else:
        assert found in ended.stderr.splitlines()[-1]
    assert happens is emptied or not (root / ".locks").exists()


def test_a_store_whose_last_object_was_deleted_is_one_without_objects(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.put("a", b"1")
    store.delete("a")
    assert list(store.list("")) == []
    FileStore(tmp_path).put("a", b"2")


def test_a_file_where_a_new_store_should_be_is_final(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"no folder")
    with pytest.raises(SettingsError, match="name another one in the store's URL"):
        FileStore(tmp_path / "store")


def test_a_look_at_a_folder_whose_disk_is_away_leaves_no_store_there(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "store")
    assert list(store.list("")) == []
    assert store.sweep(2.0**40) == 0
    with pytest.raises(NotFoundError):
        store.get("a")
    assert not (tmp_path / "store").exists()
    assert pickle.loads(pickle.dumps(store)).url == store.url
    store.put("a", b"1")
    assert FileStore(tmp_path / "store", existing=True).get("a").data == b"1"


def test_a_folder_that_cannot_be_made_is_said_when_something_is_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingsError, match="name another one in the store's URL"):
        FileStore(tmp_path / "file" / "store").put("a", b"1")


@pytest.mark.parametrize("name", [b".DS_Store", b"line\nbreak", b"caf\xe9", b"s" * 255])
def test_what_somebody_else_has_left_is_no_object(tmp_path: Path, name: bytes) -> None:
    store = FileStore(tmp_path / "store")
    store.put("inbox/ours", b"1")
    (tmp_path / "store" / "inbox" / os.fsdecode(name)).write_bytes(b"theirs")
    assert [each.key for each in store.list("inbox/")] == ["inbox/ours"]
    assert len(list(store.list_all("inbox/"))) == 2
