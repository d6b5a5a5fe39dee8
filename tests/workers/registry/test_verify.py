"""Damage is found and named."""

import pytest

from adapters.errors import CorruptionError, NotFoundError
from tests.support.scenes.registry import ANNA, adapter, learn
from workers.registry import Commit, Inline, SetShared, drop, purge, verify
from workers.store import MemoryStore


def _full() -> MemoryStore:
    """Return a store with an adapter that has every kind of object, all of them reachable."""
    store = MemoryStore()
    main = adapter(store)
    learn(main, "a", "b")
    main.commit(
        Commit(updates=(SetShared(state=Inline(b"shared")),), aliases=("head", "production")),
        by=ANNA,
    )
    drop(main, "b", by=ANNA, promoted=True)
    purge(main, "b", by=ANNA)
    learn(main, "c")
    return store


def test_an_adapter_with_every_kind_of_object_is_clean() -> None:
    store, seen = _full(), list[tuple[int, int]]()
    report = verify(store, "main", progress=lambda done, total: seen.append((done, total)))
    assert report.problems == ()
    assert report.objects >= len(list(store.list("")))
    assert seen[-1][0] == seen[-1][1] == report.objects - 1
    assert {listed.key.split("/")[3] for listed in store.list("adapters/")} == {
        "records",
        "manifests",
        "history",
        "tombstones",
        "accuracies",
    }


@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_flipped_bit_in_any_object_is_found_and_named(where: str) -> None:
    store = _full()
    for listed in list(store.list("")):
        data = store.get(listed.key).data
        position = {"first": 0, "middle": len(data) // 2, "last": len(data) - 1}[where]
        store.put(listed.key, _flipped(data, position))
        report = verify(store, "main")
        assert listed.key in [problem.key for problem in report.problems]
        store.put(listed.key, data)
    assert verify(store, "main").clean


def test_every_flipped_bit_of_the_refs_is_found() -> None:
    store = _full()
    data = store.get("refs/main.json").data
    for position in range(len(data)):
        store.put("refs/main.json", _flipped(data, position))
        with pytest.raises(CorruptionError, match=r"refs/main\.json"):
            adapter(store).refs()


def test_every_missing_object_but_measurements_is_found_and_named() -> None:
    store = _full()
    for listed in list(store.list("adapters/")):
        data = store.get(listed.key).data
        store.delete(listed.key)
        broken = [problem.key for problem in verify(store, "main").problems]
        assert (listed.key in broken) is ("/accuracies/" not in listed.key)
        store.put(listed.key, data)


def test_what_needs_a_broken_record_is_said() -> None:
    store = MemoryStore()
    learn(adapter(store), "a", "b")
    key = next(each.key for each in store.list("adapters/") if "/records/" in each.key)
    store.put(key, b"other bytes")
    (problem,) = verify(store, "main").problems
    assert "version 2, task" in problem.used_by
    assert "is damaged" in problem.message


def test_a_reader_is_told_of_damage_in_what_it_reads() -> None:
    store = MemoryStore()
    manifest = learn(adapter(store), "a")
    for listed in list(store.list("adapters/")):
        store.put(listed.key, _flipped(store.get(listed.key).data, 3))
    main = adapter(store, seed=1)
    with pytest.raises(CorruptionError):
        main.manifest("head")
    with pytest.raises(CorruptionError):
        main.record_bytes(manifest.tasks[0])
    with pytest.raises(CorruptionError):
        next(main.history())


def test_an_adapter_that_does_not_exist_cannot_be_verified() -> None:
    with pytest.raises(NotFoundError, match="no adapter 'main'"):
        verify(MemoryStore(), "main")


def _flipped(data: bytes, position: int) -> bytes:
    flipped = bytearray(data)
    flipped[position] ^= 1
    return bytes(flipped)
