"""What is decided on refs that may not be what there is: from before, or of a write that failed."""

from collections.abc import Callable

import pytest

from adapters.errors import NotFoundError, UnknownOutcomeError
from tests.support.scenes.registry import ANNA, adapter, learn, state
from workers.registry import Action, RegisteredAdapter, drop
from workers.registry.documents.layout import refs_key
from workers.store import MemoryStore, Object
from workers.store.patience import Patience
from workers.store.testing import WrappedStore

KEY = refs_key("main")


class DoubtfulStore(WrappedStore):
    """Answers the next reads of the refs with those of an earlier moment.

    Attributes:
        stale: What it answers then; None for what there is.
        reads: How many reads from now on are answered so.
        loses: Whether the answer to the next change of the refs is lost, and the next two reads
            after it are of that earlier moment.
    """

    stale: Object | None = None
    reads = 0
    loses = False

    @property
    def patience(self) -> Patience:
        return Patience(sleep=lambda _seconds: None)

    def get(self, key: str) -> Object:
        if key == KEY and self.stale is not None and self.reads > 0:
            self.reads -= 1
            return self.stale
        return super().get(key)

    def replace(self, key: str, data: bytes, expected_etag: str) -> str:
        etag = super().replace(key, data, expected_etag)
        if self.loses:
            self.loses, self.reads = False, 2
            raise UnknownOutcomeError("the answer was lost")
        return etag


def on_refs_from_before(*later: Callable[[RegisteredAdapter], object]) -> DoubtfulStore:
    """Return a store of two versions which answers twice from before `later` was done."""
    inner = MemoryStore()
    main = adapter(inner)
    learn(main, "a", "b")
    store = DoubtfulStore(inner)
    store.stale, store.reads = inner.get(KEY), 2
    for change in later:
        change(main)
    return store


def test_that_nothing_is_to_be_done_is_not_said_of_refs_from_before() -> None:
    store = on_refs_from_before(lambda main: main.promote(1, by=ANNA))
    adapter(store, seed=7).promote(2, by=ANNA)
    assert adapter(store.inner).resolve("production") == 2


def test_that_something_is_impossible_is_not_said_of_refs_from_before() -> None:
    store = on_refs_from_before(lambda main: learn(main, "c"))
    drop(adapter(store, seed=7), "c", by=ANNA)
    assert state(adapter(store.inner))["head"] == ("a", "b")
    with pytest.raises(NotFoundError, match="no version 9"):
        adapter(store, seed=8).promote(9, by=ANNA)


def test_a_change_is_not_made_twice_because_it_is_not_in_refs_from_before() -> None:
    store = on_refs_from_before()
    store.reads = 0
    mine = adapter(store, seed=7)
    learn(mine, "c")
    store.loses = True
    drop(mine, "c", by=ANNA)
    assert [entry.action for entry in mine.history()].count(Action.DROP) == 1


def test_what_is_refused_costs_one_change_and_what_is_done_none() -> None:
    store = on_refs_from_before()
    store.reads = 0
    mine = adapter(store, seed=7)
    before = mine.refs().serial
    learn(mine, "c")
    assert mine.refs().serial == before + 1
    mine.promote("head", by=ANNA)
    assert mine.refs().serial == before + 2
