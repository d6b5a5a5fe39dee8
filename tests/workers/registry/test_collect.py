"""Garbage is removed, and nothing else, whoever is at work meanwhile."""

from collections.abc import Callable

import pytest

from adapters.errors import ConflictError, CorruptionError
from tests.support.scenes.registry import ANNA, adapter, addition, learn, state
from workers.registry import collect, collect_blobs, verify
from workers.store import MemoryStore, ObjectStore, blob_key, put_blob
from workers.store.testing import CrashError, Fault, FaultyStore, WrappedStore

NOW = 10_000.0
BLOBS = "blobs/"


def _store_with_garbage() -> MemoryStore:
    """Return a store in which a commit died before it took effect, at time 0."""
    store = MemoryStore(clock=lambda: 0.0)
    learn(adapter(store), "a", "b")
    dying = FaultyStore(store, lambda _number, op, _key: Fault.CRASH if op == "replace" else None)
    with pytest.raises(CrashError):
        learn(adapter(dying, seed=1), "c")
    return store


def test_a_dry_run_names_what_a_real_one_removes() -> None:
    store = _store_with_garbage()
    before = {listed.key for listed in store.list("")}
    planned = collect(adapter(store), now=NOW, grace_s=100)
    assert not planned.removed
    assert {listed.key for listed in store.list("")} == before
    done = collect(adapter(store), now=NOW, grace_s=100, dry_run=False)
    assert done.removed
    assert set(done.keys) == set(planned.keys) == before - {each.key for each in store.list("")}
    assert sorted(key.split("/")[3] for key in done.keys) == [
        "accuracies",
        "history",
        "manifests",
        "records",
    ]
    assert verify(store, "main").clean
    assert state(adapter(store))["head"] == ("a", "b")


def test_young_objects_are_left_alone() -> None:
    assert collect(adapter(_store_with_garbage()), now=50.0, grace_s=100).keys == ()


def test_every_version_ever_published_is_kept() -> None:
    store = MemoryStore(clock=lambda: 0.0)
    main = adapter(store)
    learn(main, "a", "b", "c")
    main.rollback(1, by=ANNA)
    assert collect(main, now=NOW, grace_s=0, dry_run=False).keys == ()
    main.rollback(3, by=ANNA)
    assert state(main)["head"] == ("a", "b", "c")


def test_nothing_is_removed_where_something_is_damaged() -> None:
    store = _store_with_garbage()
    manifest = next(each.key for each in store.list("adapters/") if "/manifests/" in each.key)
    for listed in list(store.list("adapters/")):
        if listed.key.split("/")[3] == "history":
            store.put(listed.key, b"{}")
    with pytest.raises(CorruptionError):
        collect(adapter(store), now=NOW, grace_s=0, dry_run=False)
    assert store.get(manifest)


class _Interrupted(WrappedStore):
    """Calls `meanwhile` once, right before one operation."""

    def __init__(self, inner: ObjectStore, number: int, meanwhile: Callable[[], object]) -> None:
        super().__init__(inner)
        self.count = 0
        self._number = number
        self._meanwhile = meanwhile

    def before(self, operation: str, key: str) -> None:  # noqa: ARG002
        self.count += 1
        if self.count == self._number:
            self._meanwhile()


def _collected_during_a_commit(number: int) -> bool:
    """Let a whole collection run before operation `number` of a commit; False if there is none."""
    store = _store_with_garbage()  # it holds the very objects that the commit will write again

    def gc() -> None:
        collect(adapter(store, seed=9), now=NOW, grace_s=0, dry_run=False)

    interrupted = _Interrupted(store, number, gc)
    learn(adapter(interrupted, seed=2), "c")
    assert verify(store, "main").problems == ()
    assert state(adapter(store))["head"] == ("a", "b", "c")
    return interrupted.count >= number


def _committed_during_a_collection(number: int) -> bool:
    """Let a whole commit run before operation `number` of a collection."""
    store = _store_with_garbage()
    interrupted = _Interrupted(store, number, lambda: learn(adapter(store, seed=2), "c"))
    collect(adapter(interrupted, seed=9), now=NOW, grace_s=0, dry_run=False)
    if interrupted.count >= number:
        assert verify(store, "main").problems == ()
        assert state(adapter(store))["head"] == ("a", "b", "c")
    return interrupted.count >= number


@pytest.mark.parametrize("run", [_collected_during_a_commit, _committed_during_a_collection])
def test_a_commit_and_a_collection_do_not_harm_each_other_at_any_operation(
    run: Callable[[int], bool],
) -> None:
    number = 1
    while run(number):
        number += 1
    assert number > 10


def test_a_commit_that_was_in_doubt_cannot_arrive_after_the_collection() -> None:
    store = MemoryStore(clock=lambda: 0.0)
    main = adapter(store)
    learn(main, "a")
    etag = store.get("refs/main.json").etag
    late: list[bytes] = []

    class Late(WrappedStore):
        """Keeps the replacement on its way."""

        def replace(self, key: str, data: bytes, expected_etag: str) -> str:  # noqa: ARG002
            late.append(data)
            raise CrashError

    with pytest.raises(CrashError):
        adapter(Late(store), seed=1).commit(addition("b", parent=1), by=ANNA)
    collect(main, now=NOW, grace_s=0, dry_run=False)
    with pytest.raises(ConflictError):
        store.replace("refs/main.json", late[0], etag)
    assert verify(store, "main").clean


def test_blobs_that_somebody_needs_or_that_are_young_are_kept() -> None:
    time = [0.0]
    store = MemoryStore(clock=lambda: time[0])
    needed, old = (put_blob(store, data, prefix=BLOBS) for data in (b"needed", b"old"))
    time[0] = NOW - 10
    young = put_blob(store, b"young", prefix=BLOBS)
    found = collect_blobs(
        store,
        BLOBS,
        needed=lambda: [blob_key(needed, BLOBS)],
        now=NOW,
        grace_s=100,
        dry_run=False,
    )
    assert found.keys == (blob_key(old, BLOBS),)
    assert {each.key for each in store.list("")} == {
        blob_key(needed, BLOBS),
        blob_key(young, BLOBS),
    }


@pytest.mark.parametrize("name", ["notes.txt", "old/notes.txt", "000000/records/notes.txt"])
def test_what_somebody_else_has_put_between_the_objects_is_left_alone(name: str) -> None:
    store = _store_with_garbage()
    store.put(f"adapters/main/{name}", b"hello")
    done = collect(adapter(store), now=NOW, grace_s=100, dry_run=False)
    assert len(done.keys) == 4
    assert store.get(f"adapters/main/{name}").data == b"hello"
