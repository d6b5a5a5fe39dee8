"""The store in a folder, and what is left of it when a writer is killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.errors import InputError, SettingsError
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
