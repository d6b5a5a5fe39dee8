"""Changed objects: what one listing tells of them, however coarse the store's times are."""

from workers.store import MemoryStore
from workers.store.changed import COARSE_S, ChangedObjects


def test_what_is_new_or_has_changed_is_told_for_as_long_as_times_may_be_coarse() -> None:
    now = 100.0
    store = MemoryStore(clock=lambda: float(int(now)))
    store.put("refs/main.json", b"1")
    changes = ChangedObjects(store, "refs/")
    assert changes.look(now=now) == ["refs/main.json"]
    store.put("refs/main.json", b"2")  # within the same second, and of the same size
    assert changes.look(now=now + 1) == ["refs/main.json"]
    assert changes.look(now=now + COARSE_S) == []
    now += 10
    store.put("refs/main.json", b"3")
    assert changes.look(now=now) == ["refs/main.json"]


def test_what_could_not_be_used_is_told_again_and_what_is_gone_is_not() -> None:
    store = MemoryStore(clock=lambda: 1.0)
    store.put("refs/main.json", b"1")
    store.put("refs/zoo.json", b"1")
    changes = ChangedObjects(store, "refs/")
    changes.look(now=1.0)
    changes.look_again("refs/zoo.json")
    assert changes.look(now=1.0 + COARSE_S) == ["refs/zoo.json"]
    store.delete("refs/zoo.json")
    assert changes.look(now=10.0) == []
    assert changes.keys == {"refs/main.json"}
