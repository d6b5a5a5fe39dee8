"""Stores that answer from before, and stores that lose acknowledged changes."""

from collections.abc import Callable

import pytest

from adapters.errors import ForkedError, InputError
from tests.support.scenes.registry import ANNA, adapter, addition, learn, state
from workers.housekeeping.settling import settle
from workers.registry import Action, RegisteredAdapter, drop, purge
from workers.registry.documents.layout import refs_key
from workers.store import MemoryStore, Object
from workers.store.sightings import sightings_of
from workers.store.testing import WrappedStore

KEY = refs_key("main")


class StaleStore(WrappedStore):
    """Answers every second read of the refs with what they were when `stale` was set."""

    stale: Object | None = None
    reads = 0

    def get(self, key: str) -> Object:
        if key == KEY and self.stale is not None:
            self.reads += 1
            if self.reads % 2:
                return self.stale
        return super().get(key)


def test_whoever_has_seen_a_change_never_goes_behind_it() -> None:
    store = StaleStore(MemoryStore())
    main = adapter(store)
    learn(main, "a", "b", "c")
    store.stale = store.inner.get(KEY)
    main.rollback(1, by=ANNA)
    assert [adapter(store, seed=9).resolve("head") for _ in range(10)] == [1] * 10
    assert [next(main.history()).action for _ in range(4)] == [Action.ROLLBACK] * 4
    assert sightings_of(store).went_back[KEY] > 5


def test_serials_grow_by_one_and_name_the_refs_before() -> None:
    store = MemoryStore()
    main = adapter(store)
    learn(main, "a")
    first = main.refs()
    learn(main, "b")
    main.fence("anna")
    assert main.refs().serial == first.serial + 2
    assert len(main.refs().before) == 64


def test_changes_go_on_over_reads_from_before() -> None:
    store = StaleStore(MemoryStore())
    main = adapter(store)
    learn(main, "a")
    store.stale = store.inner.get(KEY)
    learn(main, "b", "c", "d")
    assert state(adapter(store.inner))["head"] == ("a", "b", "c", "d")


def losing(main: RegisteredAdapter, store: MemoryStore, act: Callable[[], object]) -> None:
    """Let `act` be acknowledged, and the refs be as before: two writers have won."""
    before = store.get(KEY).data
    act()
    store.put(KEY, before)
    other = adapter(store, seed=77)
    other.alias("canary", "head", by=ANNA)
    del main


@pytest.fixture
def forked() -> tuple[MemoryStore, RegisteredAdapter]:
    store = MemoryStore()
    view = WrappedStore(store)  # of a process of its own
    main = adapter(view)
    learn(main, "a", "b")
    losing(main, store, lambda: learn(main, "lost"))
    return store, main


def test_a_lost_change_is_noted_by_its_writer_and_stops_publishing(
    forked: tuple[MemoryStore, RegisteredAdapter],
) -> None:
    store, main = forked
    assert main.writer.is_unsettled
    for writer in (main, adapter(store, seed=5)):
        with pytest.raises(ForkedError, match=r"commit of version 3.*nacre settle --adapter main"):
            writer.commit(addition("c", parent=2), by=ANNA)
    (fork,) = adapter(store, seed=6).refs().forks
    assert fork.published is not None
    assert fork.published.number == 3
    assert state(adapter(store))["head"] == ("a", "b")
    # What answers goes on, and may be moved.
    adapter(store, seed=8).rollback(1, by=ANNA)


def test_what_was_lost_is_published_again_without_learning(
    forked: tuple[MemoryStore, RegisteredAdapter],
) -> None:
    store, main = forked
    with pytest.raises(InputError, match="expected a reason"):
        settle(main, by=type(ANNA)(who="anna", why=" ", now=1.0))
    (found,) = settle(main, by=ANNA)
    assert (found.version, found.note) == (3, "")
    assert settle(main, by=ANNA) == ()
    assert state(adapter(store))["head"] == ("a", "b", "lost")
    assert not main.writer.is_unsettled
    learn(main, "c")
    assert state(adapter(store))["head"] == ("a", "b", "lost", "c")


@pytest.mark.parametrize("name", ["old/history/notes.txt", "000000/history/notes.txt"])
def test_what_somebody_else_has_put_there_is_not_looked_through_for_what_was_lost(
    name: str,
) -> None:
    store = MemoryStore()
    main = adapter(store)
    learn(main, "a")
    store.put(f"adapters/main/{name}", b"hello")
    (found,) = settle(main, by=ANNA, lost=["another"])
    assert (found.lost, found.version) == ("another", None)


def test_a_lost_rollback_is_told_and_let_go() -> None:
    store = MemoryStore()
    main = adapter(WrappedStore(store))
    learn(main, "a", "b")
    losing(main, store, lambda: main.rollback(1, by=ANNA))
    (found,) = settle(main, by=ANNA)
    assert found.version is None
    assert "rollback" in found.note
    assert next(main.history()).action is Action.SETTLE
    assert state(adapter(store))["head"] == ("a", "b")


def test_what_others_built_on_is_not_looked_for_again() -> None:
    store = MemoryStore()
    main, other = adapter(WrappedStore(store)), adapter(WrappedStore(store), seed=5)
    learn(main, "a")
    for task in ("b", "c"):
        learn(other, task)
        learn(main, f"{task}-mine")
    assert not main.writer.is_unsettled
    assert len(sightings_of(main.objects.store).remembered(KEY)) == 1


def test_a_note_that_is_lost_as_well_is_written_again(
    forked: tuple[MemoryStore, RegisteredAdapter],
) -> None:
    store, main = forked
    losing(main, store, main.writer.settle)
    main.rollback(1, by=ANNA)
    assert len(adapter(store, seed=6).refs().forks) == 1


def test_what_was_lost_together_is_noted_and_published_again() -> None:
    store = MemoryStore()
    main = adapter(WrappedStore(store))
    learn(main, "a")
    losing(main, store, lambda: learn(main, "b", "c"))
    main.writer.settle()
    lost = [fork.published.number for fork in main.refs().forks if fork.published]
    assert lost == [2, 3]
    assert [found.version for found in settle(main, by=ANNA)] == [2, 3]
    assert state(adapter(store))["head"] == ("a", "b", "c")
    assert not main.writer.is_unsettled


def test_a_change_that_moves_nothing_does_not_cover_what_is_lost_with_it() -> None:
    store = MemoryStore()
    main = adapter(WrappedStore(store))
    learn(main, "a")

    def publish_and_fence() -> None:
        learn(main, "b")
        main.fence("anna")

    losing(main, store, publish_and_fence)
    assert [fork.action for fork in main.writer.settle().forks] == ["commit"]


def test_a_lost_drop_is_named_and_not_undone_in_silence() -> None:
    store = MemoryStore()
    main = adapter(WrappedStore(store))
    learn(main, "a", "b")
    losing(main, store, lambda: drop(main, "a", by=ANNA, promoted=True))
    (found,) = settle(main, by=ANNA)
    assert found.version is None
    assert "drop of version 3" in found.note


def test_production_stays_where_somebody_has_put_it_meanwhile(
    forked: tuple[MemoryStore, RegisteredAdapter],
) -> None:
    store, main = forked
    adapter(store, seed=8).rollback(1, by=ANNA, serving_only=True)
    (found,) = settle(main, by=ANNA)
    assert found.version == 3
    assert adapter(store, seed=9).resolve("production") == 1
    assert state(adapter(store))["head"] == ("a", "b", "lost")


def test_what_was_purged_meanwhile_is_not_published_again() -> None:
    store = MemoryStore()
    main = adapter(WrappedStore(store))
    learn(main, "a")
    before = store.get(KEY).data
    learn(main, "lost")
    store.put(KEY, before)
    other = adapter(store, seed=77)
    learn(other, "lost")
    drop(other, "lost", by=ANNA, promoted=True)
    purge(other, "lost", by=ANNA)
    (found,) = settle(main, by=ANNA)
    assert found.version is None
    assert not main.refs().forks
    assert state(adapter(store))["head"] == ("a",)
