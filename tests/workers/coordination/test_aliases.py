"""Where `head` of an adapter points, on a store that denies it or answers from before."""

import logging

import pytest

from tests.support.fakes.doubtful_store import DoubtfulStore, RememberingStore
from tests.support.scenes.registry import ANNA, adapter, learn
from workers.coordination.aliases import Heads
from workers.registry.documents.layout import refs_key
from workers.store import MemoryStore

REFS = refs_key("main")


def begun(*tasks: str) -> tuple[RememberingStore, int]:
    """Return a store whose adapter has learnt `tasks`, and the epoch of the next one."""
    store = RememberingStore(MemoryStore())
    main = adapter(store)
    for task in tasks:
        learn(main, task)
    return store, main.fence("anna").epoch


def test_head_is_where_it_points_and_0_before_the_first_version() -> None:
    for tasks in ((), ("flowers",), ("flowers", "digits")):
        store, epoch = begun(*tasks)
        assert Heads(store).of("main", epoch=epoch) == len(tasks)


def test_refs_that_are_denied_for_seconds_do_not_look_like_no_version() -> None:
    store, epoch = begun("flowers")
    seen = DoubtfulStore(store)
    seen.deny(2.0)
    assert Heads(seen).of("main", epoch=epoch) == 1


def test_of_refs_that_stay_away_nobody_says_where_head_is() -> None:
    store, epoch = begun("flowers")
    seen = DoubtfulStore(store)
    seen.deny(1e9)
    assert Heads(seen).of("main", epoch=epoch) is None


def test_refs_from_before_the_learning_began_say_nothing_of_head() -> None:
    store, epoch = begun("flowers")
    store.put(REFS, store.earlier[REFS].data)
    assert Heads(store.inner).of("main", epoch=epoch) is None


def test_refs_that_went_back_are_settled_above_all_that_were_seen() -> None:
    store, epoch = begun("flowers")
    main = adapter(store)
    main.rollback(1, by=ANNA)
    learn(main, "digits")
    learn(main, "stars")
    seen = DoubtfulStore(store)
    assert Heads(seen).of("main", epoch=epoch) == 3
    serial = main.refs().serial
    store.inner.put(REFS, store.earlier[REFS].data)  # a write that had been seen is gone
    assert Heads(seen).of("main", epoch=epoch) == 2
    assert adapter(DoubtfulStore(store)).refs().serial > serial


def test_of_damaged_refs_nobody_says_where_head_is_and_that_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, epoch = begun("flowers")
    kept, heads = store.get(REFS).data, Heads(store)
    with caplog.at_level(logging.WARNING, logger="nacre.coordinator"):
        for times in (1, 2):
            store.put(REFS, b"{}")
            assert [heads.of("main", epoch=epoch) for _ in range(3)] == [None] * 3
            assert len(caplog.messages) == times
            assert REFS in caplog.messages[-1]
            store.put(REFS, kept)
            assert heads.of("main", epoch=epoch) == 1
