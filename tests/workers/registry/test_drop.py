"""Leaving tasks out, and removing them for good."""

from pathlib import Path

import pytest

from adapters.errors import InputError, NotFoundError
from tests.support.scenes.registry import (
    ANNA,
    BEN,
    adapter,
    addition,
    learn,
    record_of,
    registry,
    state,
)
from workers.registry import Action, collect, drop, purge, verify
from workers.store import BlobCache, MemoryStore, ObjectStore


def test_a_dropped_task_is_left_out_and_stays_in_older_versions() -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b", "c")
    assert drop(main, "b", by=BEN).number == 4
    assert state(main) == {"head": ("a", "c"), "production": ("a", "b", "c")}
    main.rollback(3, by=BEN)
    assert state(main)["head"] == ("a", "b", "c")
    drop(main, "b", by=BEN, promoted=True)
    assert state(main)["production"] == ("a", "c")
    assert next(main.history()).detail == {"dropped": "b"}


def test_a_task_that_is_not_there_cannot_be_dropped() -> None:
    main = adapter(MemoryStore())
    learn(main, "a")
    with pytest.raises(NotFoundError, match="no task 'x'; it has: a"):
        drop(main, "x", by=ANNA)


def test_a_version_without_tasks_is_never_in_production() -> None:
    main = adapter(MemoryStore())
    learn(main, "a")
    before = main.refs()
    with pytest.raises(InputError, match=r"2 of 'main' holds no task, .*without `--promote`"):
        drop(main, "a", by=ANNA, promoted=True)
    assert main.refs() == before
    assert drop(main, "a", by=ANNA).tasks == ()
    for move in (main.promote, main.rollback):
        with pytest.raises(InputError, match="2 of 'main' holds no task"):
            move(2, by=ANNA)
    assert state(main) == {"head": (), "production": ("a",)}
    assert main.alias("canary", 2, by=ANNA) == 2
    main.remove_alias("production", by=ANNA)
    assert main.rollback(2, by=ANNA) == 2


def test_a_task_that_is_served_cannot_be_purged() -> None:
    main = adapter(MemoryStore())
    learn(main, "a", "b")
    drop(main, "b", by=ANNA)
    with pytest.raises(
        InputError, match=r"'b' is still in production \(version \d\).*alias NAME --remove"
    ):
        purge(main, "b", by=ANNA)
    with pytest.raises(NotFoundError, match="has ever held task 'x'"):
        purge(main, "x", by=ANNA)


def _purged(store: ObjectStore, cache: BlobCache | None = None) -> None:
    main = registry(store, cache=cache).create("main")
    learn(main, "a", "b", "c")
    assert state(main)["head"] == ("a", "b", "c")
    store.put("shards/b/0", b"pictures of b")
    store.put("shards/c/0", b"pictures of c")
    drop(main, "b", by=ANNA, promoted=True)
    done = purge(main, "b", by=BEN, also=("shards/b/",))
    assert done.versions == (2, 3)
    assert done.submissions == ("b-0123456789ab",)
    assert len(done.keys) == 2


def test_purging_removes_the_bytes_everywhere(tmp_path: Path) -> None:
    store = MemoryStore()
    _purged(store, BlobCache(tmp_path / "cache", 10**6))
    stored = [store.get(listed.key).data for listed in store.list("")]
    cached = [path.read_bytes() for path in (tmp_path / "cache").iterdir()]
    for data in (b"pictures of b", record_of("b")):
        assert not any(data in each for each in (*stored, *cached))
    assert b"pictures of c" in stored
    assert verify(store, "main").clean


def test_versions_that_held_a_purged_task_can_be_looked_at_but_not_served() -> None:
    store = MemoryStore()
    _purged(store)
    main = adapter(store, seed=1)
    manifest = main.manifest(3)
    assert [task.task for task in manifest.tasks] == ["a", "b", "c"]
    assert main.record_bytes(manifest.tasks[0]) == record_of("a")
    with pytest.raises(NotFoundError, match="'b' was purged by 'ben'"):
        main.record_bytes(manifest.tasks[1])
    for move in (main.rollback, main.promote):
        with pytest.raises(InputError, match=r"version 3 of 'main' held task 'b'.*'ben' purged"):
            move(3, by=ANNA)
    assert next(main.history()).action is Action.PURGE
    main.rollback(1, by=ANNA)


def test_purging_twice_is_purging_once() -> None:
    store = MemoryStore()
    _purged(store)
    main = adapter(store, seed=1)
    before = len(list(main.history()))
    assert purge(main, "b", by=ANNA).versions == (2, 3)
    assert len(list(main.history())) == before


def test_a_purged_task_that_is_learnt_again_with_the_same_bytes_is_kept() -> None:
    store = MemoryStore()
    _purged(store)
    main = adapter(store, seed=1)
    main.commit(addition("b", parent=4), by=ANNA)
    main.rollback(4, by=ANNA)
    collect(main, now=2.0**40, grace_s=0.0, dry_run=False)
    main.rollback(5, by=ANNA)
    assert state(main)["head"] == ("a", "c", "b")
    main.rollback(4, by=ANNA)
    assert purge(main, "b", by=ANNA).versions == (2, 3, 5)  # and once more, with the new one
