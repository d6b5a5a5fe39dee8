"""Sources in an object store, with a store in memory; the real server is in tests/cluster."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import pytest

from adapters.errors import InputError, SettingsError
from tests.support.conformance.lists import ListSuite
from tests.support.conformance.sources import RED, Site, SourceSuite, StoreSite, read, tar
from tests.support.conformance.surveys import SurveySuite
from workers.sources import read_source
from workers.store import Listed, MemoryStore, Object, ObjectStore
from workers.store.testing import RecordingStore, WrappedStore


class Below(WrappedStore):
    """The part of a store below a prefix.

    Args:
        whole: The store.
        prefix: What is left out of the keys.
        foreign: Keys that other programs have written, which no store here reads or writes.
    """

    def __init__(self, whole: ObjectStore, prefix: str, foreign: list[str]) -> None:
        super().__init__(whole)
        self.prefix = prefix
        self.foreign = foreign

    def get(self, key: str) -> Object:
        return super().get(self.prefix + key)

    def get_range(self, key: str, start: int, length: int) -> bytes:
        return super().get_range(self.prefix + key, start, length)

    def put(self, key: str, data: bytes) -> None:
        super().put(self.prefix + key, data)

    def list_all(self, prefix: str) -> Iterator[Listed]:
        for listed in super().list_all(self.prefix + prefix):
            yield replace(listed, key=listed.key.removeprefix(self.prefix))
        for key in self.foreign:
            if key.startswith(self.prefix):
                yield Listed(key=key.removeprefix(self.prefix), size_bytes=1, modified=0.0)


class WithMarker(WrappedStore):
    """A prefix as a console leaves it, which makes an empty object for the prefix itself."""

    def list_all(self, prefix: str) -> Iterator[Listed]:
        yield Listed(key="", size_bytes=0, modified=0.0)
        yield from super().list_all(prefix)


class MemorySite(StoreSite):
    """Addresses s3://bucket/... that lead into this process's memory."""

    def __init__(self) -> None:
        self.whole = MemoryStore()
        self.foreign: list[str] = []
        self.opened: list[str] = []
        self.recorded = RecordingStore(self.whole)
        super().__init__("s3://bucket/top", self._open, query="?endpoint=http://host:1")

    def write(self, name: str, content: bytes) -> None:
        if any(part.startswith(".") for part in name.split("/")):
            self.foreign.append(f"top/{name}")
        else:
            super().write(name, content)

    def _open(self, url: str) -> ObjectStore:
        self.opened.append(url)
        path, _, query = url.partition("?")
        assert query == "endpoint=http://host:1"
        prefix = path.removeprefix("s3://bucket").strip("/")
        self.recorded = RecordingStore(
            Below(self.whole, f"{prefix}/" if prefix else "", self.foreign)
        )
        return self.recorded


@pytest.fixture
def site() -> MemorySite:
    return MemorySite()


class TestStoredSources(SourceSuite, SurveySuite, ListSuite):
    """Every kind of source below an address."""

    OPENED: ClassVar[list[tuple[str, str]]] = [
        # the source, and the prefix that must be readable: none above what is needed
        ("train", "s3://bucket/top/train"),
        ("train/", "s3://bucket/top/train"),
        ("a/train.csv", "s3://bucket/top/a"),
        ("a/s-*.tar", "s3://bucket/top/a"),
        ("a/s-{0..1}.tar", "s3://bucket/top/a"),
    ]

    @pytest.mark.parametrize(("name", "prefix"), OPENED)
    def test_only_what_is_needed_is_opened(self, site: MemorySite, name: str, prefix: str) -> None:
        site.write("train/red/1.jpg", RED)
        site.write("a/train.csv", b"path,label\n1.jpg,red\n")
        for number in range(2):
            site.write(f"a/s-{number}.tar", tar([("1.jpg", RED), ("1.cls", b"red")]))
        site.images(name)
        assert site.opened[-1] == f"{prefix}?endpoint=http://host:1"

    def test_a_list_may_not_lead_out_of_its_prefix(self, site: Site) -> None:
        rows = b"path,label\n../1.jpg,red\n/top/1.jpg,red\na/../1.jpg,red\n"
        site.write("a/train.csv", rows)
        with pytest.raises(SettingsError, match=r"(?s)2 rows of .*below s3://bucket/top/a, where"):
            site.images("a/train.csv")

    def test_a_large_shard_is_indexed_and_read_in_pieces(self, site: MemorySite) -> None:
        members = [(f"{number}.jpg", bytes(3_000_000)) for number in range(4)]
        labels = [(f"{number}.cls", b"one") for number in range(4)]
        content = tar([*members, *labels])
        site.write("x.tar", content)
        refs = site.images("x.tar")["one"]
        operations = {operation for operation, _ in site.recorded.keys}
        assert operations == {"get_range"}
        # Headers alone are wanted: of each file the beginning is read, and not its content.
        assert site.recorded.received < len(content) / 2
        site.recorded.reset()
        refs[2].read()
        assert site.recorded.received == 3_000_000

    def test_objects_that_stand_for_folders_are_no_files(self, site: MemorySite) -> None:
        site.write("x/1.tar", tar([("1.jpg", RED), ("1.cls", b"red")]))
        opened = site.opener(site.source("x"))
        images = read_source("s3://bucket/x", opener=lambda _: WithMarker(opened)).images
        assert read(images) == {"red": [RED]}

    def test_an_address_without_an_opener_for_it_is_refused(self) -> None:
        with pytest.raises(InputError, match="s3://bucket/train"):
            read_source("s3://bucket/train")
