"""A metered store behaves as any, and its operations are counted."""

import pickle

import pytest

from adapters.errors import ConflictError, NotFoundError, UnavailableError
from tests.support.conformance.store import StoreSuite
from workers.metrics import Tally
from workers.metrics.families import STORE_REQUESTS, STORE_SECONDS
from workers.metrics.metered_store import MeteredStore
from workers.store import FileStore, MemoryStore, ObjectStore
from workers.store.testing import Fault, FaultyStore, fault_at


class TestMeteredStore(StoreSuite):
    """A store like any other."""

    @pytest.fixture
    def store(self, tmp_path_factory: pytest.TempPathFactory) -> ObjectStore:
        return MeteredStore(FileStore(tmp_path_factory.mktemp("store")), Tally())


def counted(tally: Tally) -> dict[tuple[str, ...], float]:
    """Return what was counted of operations, without what never happened."""
    return {
        each.labels: each.value
        for each in tally.points()
        if each.family is STORE_REQUESTS and each.value
    }


def test_operations_are_counted_by_what_came_of_them() -> None:
    tally = Tally()
    store = MeteredStore(MemoryStore(), tally)
    etag = store.create("a", b"1")
    with pytest.raises(ConflictError):
        store.create("a", b"2")
    store.replace("a", b"3", etag)
    with pytest.raises(NotFoundError):
        store.get("b")
    assert store.get("a").data == b"3"
    assert [each.key for each in store.list("")] == ["a"]
    assert counted(tally) == {
        ("create", "done"): 1,
        ("create", "conflict"): 1,
        ("replace", "done"): 1,
        ("get", "absent"): 1,
        ("get", "done"): 1,
        ("list", "done"): 1,
    }


def test_a_store_that_is_away_is_counted_so() -> None:
    tally = Tally()
    store = MeteredStore(FaultyStore(MemoryStore(), fault_at(0, Fault.FAIL)), tally)
    with pytest.raises(UnavailableError):
        store.put("a", b"1")
    assert counted(tally) == {("put", "unavailable"): 1}


def test_the_time_of_a_listing_is_the_stores_alone() -> None:
    times = iter(range(100))
    tally = Tally()
    inner = MemoryStore()
    for key in "abc":
        inner.put(key, b"")
    store = MeteredStore(inner, tally, clock=lambda: float(next(times)))
    for _ in store.list(""):
        next(times)  # whoever reads it takes its time
    sums = {each.labels: each.value for each in tally.points() if each.suffix == "_sum"}
    assert sums == {("list",): 4.0}  # three objects, and that there are no more
    assert STORE_SECONDS in {each.family for each in tally.points()}


def test_what_has_not_happened_is_there_with_0() -> None:
    tally = Tally()
    MeteredStore(MemoryStore(), tally)
    there = {each.labels: each.value for each in tally.points() if each.family is STORE_REQUESTS}
    assert there["get", "unavailable"] == 0


def test_sent_to_another_process_it_is_the_store_alone(tmp_path: object) -> None:
    store = MeteredStore(FileStore(tmp_path), Tally())  # type: ignore[arg-type]
    assert isinstance(pickle.loads(pickle.dumps(store)), FileStore)
