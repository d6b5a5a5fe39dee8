"""Counts that somebody has forged as high as they are read: nothing unreadable is written after."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from adapters.errors import CorruptionError
from tests.support.scenes.registry import ANNA, BEN, adapter, learn
from workers.formats.documents import LARGEST_COUNT
from workers.queue.leadership import KEY, read_leadership, take_leadership
from workers.registry import Fence, RegisteredAdapter
from workers.registry.documents.layout import refs_key
from workers.registry.documents.refs import Refs
from workers.registry.purge import purge
from workers.store import MemoryStore

FORGED: dict[str, Callable[[Refs], Refs]] = {
    "serial": lambda refs: replace(refs, serial=LARGEST_COUNT),
    "next version": lambda refs: replace(refs, next_version=LARGEST_COUNT),
    "area": lambda refs: replace(refs, area=LARGEST_COUNT),
    "epoch": lambda refs: replace(refs, fence=Fence(owner="anna", epoch=LARGEST_COUNT)),
}
CHANGED: dict[str, Callable[[RegisteredAdapter], object]] = {
    "serial": lambda main: main.rollback(2, by=BEN),
    "next version": lambda main: learn(main, "c"),
    "area": lambda main: purge(main, "b", by=ANNA),
    "epoch": lambda main: main.fence(owner="ben"),
}


@pytest.mark.parametrize("count", FORGED)
def test_an_adapter_whose_count_is_at_its_end_is_left_as_it_is(count: str) -> None:
    store = MemoryStore()
    main = adapter(store)
    learn(main, "a", "b")
    main.rollback(1, by=BEN)
    forged = FORGED[count](main.refs())
    store.put(refs_key(main.name), forged.to_bytes())
    again = adapter(_copy(store))
    with pytest.raises(CorruptionError, match="after which none can be read"):
        CHANGED[count](again)
    assert again.refs() == forged


@pytest.mark.parametrize("count", ["epoch", "beat"])
def test_a_lead_whose_count_is_at_its_end_is_left_as_it_is(count: str) -> None:
    store = MemoryStore()
    lead = take_leadership(store, owner="anna", host="a", ttl_s=1.0, now=0.0)
    forged = (
        replace(lead, epoch=LARGEST_COUNT)
        if count == "epoch"
        else replace(lead, beat=LARGEST_COUNT)
    )
    store.put(KEY, forged.to_bytes())
    again = _copy(store)
    with pytest.raises(CorruptionError, match="after which none can be read"):
        take_leadership(again, owner="ben", host="b", ttl_s=1.0, now=99.0)
    assert read_leadership(again) == forged


def _copy(store: MemoryStore) -> MemoryStore:
    """Return a store with the same objects, of which this process has seen nothing."""
    copied = MemoryStore()
    for listed in store.list(""):
        copied.put(listed.key, store.get(listed.key).data)
    return copied
