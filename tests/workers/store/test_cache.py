"""The local cache of blobs."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.errors import InputError
from workers.store import BlobCache, blob_ref


def test_a_blob_is_found_until_it_is_discarded(tmp_path: Path) -> None:
    cache, ref = BlobCache(tmp_path, 100), blob_ref(b"record")
    assert cache.get(ref) is None
    cache.put(ref, b"record")
    assert cache.get(ref) == b"record"
    cache.discard(ref.sha256)
    assert cache.get(ref) is None


def test_the_blob_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, 30)
    refs = {data: blob_ref(data) for data in (b"a" * 10, b"b" * 10, b"c" * 10, b"d" * 10)}
    for data in list(refs)[:3]:
        cache.put(refs[data], data)
    assert cache.get(refs[b"a" * 10])  # used again
    cache.put(refs[b"d" * 10], b"d" * 10)
    kept = [data[:1] for data, ref in refs.items() if cache.get(ref)]
    assert kept == [b"a", b"c", b"d"]


def test_a_damaged_file_counts_as_absent(tmp_path: Path) -> None:
    cache, ref = BlobCache(tmp_path, 100), blob_ref(b"record")
    cache.put(ref, b"record")
    (tmp_path / ref.sha256).write_bytes(b"recorx")
    assert cache.get(ref) is None
    cache.put(ref, b"record")
    assert cache.get(ref) == b"record"


def test_a_blob_larger_than_the_cache_is_not_kept(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, 5)
    cache.put(blob_ref(b"record"), b"record")
    assert cache.size_bytes() == 0


def test_a_writer_that_died_does_not_fill_the_cache(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, 10)
    (tmp_path / ".usage").write_bytes(b"")
    (tmp_path / ".half").write_bytes(b"x" * 1000)
    cache.put(blob_ref(b"record"), b"record")
    assert cache.get(blob_ref(b"record")) == b"record"
    assert not (tmp_path / ".half").exists()


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], None]]:
    """Give what lets nobody write into a folder any more; its mode would not keep root from it."""
    mounted = list[Path]()

    def mount(folder: Path) -> None:
        for options in (["--bind"], ["-o", "remount,bind,ro"]):
            done = subprocess.run(
                ["mount", *options, folder, folder], capture_output=True, check=False
            )
            if done.returncode:
                pytest.skip("this user can mount nothing")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_folder_that_can_only_be_read_still_gives_what_it_has(
    tmp_path: Path, read_only: Callable[[Path], None]
) -> None:
    whole, damaged, absent = (blob_ref(data) for data in (b"whole", b"damaged", b"absent"))
    cache = BlobCache(tmp_path, 100)
    cache.put(whole, b"whole")
    cache.put(damaged, b"damaged")
    (tmp_path / damaged.sha256).write_bytes(b"another")
    read_only(tmp_path)
    cache.put(absent, b"absent")
    found = [cache.get(ref) for ref in (whole, damaged, absent)]
    assert found == [b"whole", None, None]


def test_where_there_can_be_no_folder_nothing_is_found_and_nothing_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache, ref = BlobCache(tmp_path / "file" / "cache", 100), blob_ref(b"record")
    cache.put(ref, b"record")
    assert cache.get(ref) is None


def test_a_folder_that_was_removed_is_made_again(tmp_path: Path) -> None:
    cache, ref = BlobCache(tmp_path / "cache", 100), blob_ref(b"record")
    for _ in range(2):
        assert cache.get(ref) is None
        cache.put(ref, b"record")
        assert cache.get(ref) == b"record"
        shutil.rmtree(tmp_path / "cache")


def test_a_blob_that_cannot_be_read_counts_as_absent(tmp_path: Path) -> None:
    cache, ref = BlobCache(tmp_path, 100), blob_ref(b"record")
    (tmp_path / ref.sha256).mkdir()
    assert cache.get(ref) is None
    cache.put(ref, b"record")
    assert cache.get(ref) is None


def test_a_cache_needs_room(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="above 0"):
        BlobCache(tmp_path, 0)


def test_processes_share_a_cache_within_its_bound(tmp_path: Path) -> None:
    fill = """
import sys
from workers.store import BlobCache, blob_ref
cache = BlobCache(sys.argv[1], 5_000)
for number in range(100):
    data = (b"%d " % (number % 20)) * 200
    found = cache.get(blob_ref(data))
    assert found in (None, data)
    cache.put(blob_ref(data), data)
    assert cache.size_bytes() <= 5_000
"""
    fillers = [subprocess.Popen([sys.executable, "-c", fill, str(tmp_path)]) for _ in range(3)]
    assert [filler.wait() for filler in fillers] == [0] * 3
