"""Published versions as people look at them."""

from collections import Counter

import pytest

from adapters.errors import NotFoundError
from tests.support.scenes.registry import BEN, adapter, learn
from workers.registry import Registry, drop, purge, read_version, read_versions
from workers.store import MemoryStore
from workers.store.testing import RecordingStore


def test_versions_are_read_newest_first_with_aliases_and_accuracies() -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b", "c")
    main.rollback(2, by=BEN, serving_only=True)
    found = read_versions(main)
    assert [version.manifest.number for version in found] == [3, 2, 1]
    assert [version.aliases for version in found] == [("head",), ("production",), ()]
    assert [version.digest for version in found] == [
        main.version(number).manifest.sha256 for number in (3, 2, 1)
    ]
    assert [entry.task for entry in found[1].accuracies] == ["b"]


def test_versions_are_read_page_by_page() -> None:
    main = adapter(MemoryStore())
    learn(main, *map(str, range(1, 8)))
    main.rollback(2, by=BEN)
    whole = read_versions(main)
    assert len(whole) == 7
    assert read_versions(main, limit=3) == whole[:3]
    assert read_versions(main, limit=3, before=whole[2].manifest.number) == whole[3:6]
    assert read_versions(main, limit=3, before=whole[5].manifest.number) == whole[6:]
    assert read_versions(main, before=4) == whole[4:]
    assert read_versions(main, before=1) == read_versions(main, before=0) == []
    assert read_versions(main, before=100) == whole


def test_a_page_of_versions_reads_its_own_and_finds_itself_in_few_reads() -> None:
    store = MemoryStore()
    main = adapter(store)
    learn(main, *map(str, range(100)))
    for number in range(150):
        main.alias("canary", number + 1 if number < 100 else 1, by=BEN)
    recorded = RecordingStore(store)
    page = read_versions(Registry(recorded).adapter("main"), limit=5, before=51)
    assert [version.manifest.number for version in page] == [50, 49, 48, 47, 46]
    kinds = Counter(key.split("/")[-2] for _, key in recorded.keys if key.startswith("adapters/"))
    assert kinds["manifests"] == kinds["accuracies"] == 5
    assert kinds["history"] <= 2 * 8 + 5  # of 250


@pytest.mark.parametrize("name", ["production", 2, "2"])
def test_one_version_is_read_as_among_all(name: int | str) -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b")
    assert read_version(main, name) == read_versions(main)[0]


def test_a_version_says_which_of_its_tasks_were_purged() -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b", "c")
    drop(main, "b", by=BEN, promoted=True)
    purge(main, "b", by=BEN)
    assert [version.purged for version in read_versions(main)] == [(), ("b",), ("b",), ()]


def test_all_versions_are_of_one_instant() -> None:
    """The refs are read once, so that an alias which moves meanwhile is at one version only."""
    store = MemoryStore()
    learn(adapter(store), "a", "b", "c")
    recorded = RecordingStore(store)
    read_versions(Registry(recorded).adapter("main"))
    assert [key for _, key in recorded.keys].count("refs/main.json") == 1


def test_an_adapter_that_does_not_exist_has_no_versions_to_read() -> None:
    with pytest.raises(NotFoundError, match="'nobody'"):
        read_versions(Registry(MemoryStore()).adapter("nobody"))
