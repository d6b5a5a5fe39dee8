"""Opening a version: one record at a time, the same bits, and nothing of it twice in memory."""

import gc
import threading
from collections.abc import Callable, Sequence
from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adapters.adapter import Adapter
from adapters.contract.memory_format import MemoryFormat
from adapters.contract.placement import Placement
from adapters.contract.records import Record, encode_record
from adapters.contract.tensor_blob import BlobTensors
from adapters.contract.tiles import OWN_PRODUCTS
from adapters.errors import CorruptionError
from tests.adapters.synthetic import unit_rows
from tests.support.fakes.named_tower import NamedTower
from tests.support.fakes.random_records import random_record
from tests.support.scenes.registry import ANNA
from tests.support.scenes.serving import FINGERPRINT, adding, small_record
from workers.registry import (
    AddRecord,
    Commit,
    Inline,
    RegisteredAdapter,
    Registry,
    TaskRef,
    drop,
)
from workers.registry.reader import FETCH_AHEAD, TOGETHER
from workers.registry.record_cache import Versions
from workers.serving.version_cache import LoadedVersion, VersionCache
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import RecordingStore, WrappedStore

MANY = 6 * FETCH_AHEAD
UNDER_WAY = FETCH_AHEAD + 2 * TOGETHER + 4
"""Records that may be in memory at once: those read ahead, those that are decoded and those that
are taken over together, and those that a thread and the one who asks have in hand."""


class Watched(bytes):
    """Bytes of which a store is told when they have left memory."""

    gone: Callable[[], None]

    def __del__(self) -> None:
        self.gone()


class WatchedStore(WrappedStore):
    """Counts how many of the records that it gave are in memory.

    Attributes:
        alive: How many are.
        most: The most that ever were.
    """

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self._lock = threading.RLock()  # whoever has it may be the one who lets bytes go
        self.alive = self.most = 0

    def get_range(self, key: str, start: int, length: int) -> bytes:
        data = super().get_range(key, start, length)
        if "/records/" not in key:
            return data
        watched = Watched(data)
        watched.gone = lambda: self._counted(-1)
        self._counted(1)
        return watched

    def _counted(self, more: int) -> None:
        with self._lock:
            self.alive += more
            self.most = max(self.most, self.alive)


class DamagedStore(WrappedStore):
    """Turns over a bit of the objects whose keys are in `damaged`."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.damaged: set[str] = set()

    def get_range(self, key: str, start: int, length: int) -> bytes:
        data = super().get_range(key, start, length)
        digest = key.rsplit("/", 1)[-1]
        return data[:-1] + bytes([data[-1] ^ 1]) if digest in self.damaged else data


def published(store: ObjectStore, records: list[Record]) -> RegisteredAdapter:
    adapter = Registry(store).create("main")
    updates = tuple(map(adding, records))
    commit = Commit(
        updates=updates,
        encoder=FINGERPRINT,
        method="lada",
        settings={},
        aliases=("head", "production"),
    )
    adapter.commit(commit, by=ANNA)
    return adapter


def many_records(count: int = MANY) -> list[Record]:
    return [small_record(f"task-{number}") for number in range(count)]


def opened(store: ObjectStore, *, kept: MemoryFormat = "float32") -> LoadedVersion:
    cache = VersionCache(
        Versions(store), base=NamedTower(FINGERPRINT), placement=Placement(memory=kept)
    )
    return cache.load("main", Registry(store).adapter("main").version("head"))


def scores(adapter: Adapter, images: int = 5) -> torch.Tensor:
    features = unit_rows(images, adapter.width, seed=4)
    return adapter.score(features, encoder=FINGERPRINT, logit_scale=20.0).values


@given(
    sizes=st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=20),
    name=st.text("x", max_size=16),
    kept=st.sampled_from(("float32", "bfloat16")),
    images=st.sampled_from((1, 5)),
)
def test_what_is_opened_has_the_bits_of_records_that_are_held(
    sizes: list[tuple[int, int]], name: str, kept: MemoryFormat, images: int
) -> None:
    store = MemoryStore()
    records = [
        random_record(
            # Of any length, so that tensors begin at odd places too.
            f"task-{name}-{number}",
            encoder=FINGERPRINT,
            width=8,
            classes=classes,
            vectors=vectors,
            seed=number,
            noun=f"thing {number}",
        )
        for number, (classes, vectors) in enumerate(sizes)
    ]
    published(store, records)
    held = Adapter(records, placement=Placement(memory=kept))
    assert torch.equal(scores(opened(store, kept=kept).adapter, images), scores(held, images))


def test_records_pass_one_after_the_other_and_none_stays() -> None:
    store = WatchedStore(MemoryStore())
    published(store, many_records())
    loaded = opened(store)
    gc.collect()
    assert len(loaded.adapter.records) == MANY
    assert store.most <= UNDER_WAY
    assert store.alive == 0


def test_a_record_that_is_followed_does_not_stay_either() -> None:
    store = WatchedStore(MemoryStore())
    adapter = published(store, many_records(2))
    versions = Versions(store)
    cache = VersionCache(versions, base=NamedTower(FINGERPRINT))
    cache.load("main", adapter.version("head"))
    commit = Commit(
        updates=(
            AddRecord(
                task="more",
                submission="more-0123456789ab",
                record=Inline(encode_record(small_record("more"))),
                classes=3,
            ),
        ),
        encoder=FINGERPRINT,
        method="lada",
        settings={},
        aliases=("head", "production"),
    )
    adapter.commit(commit, by=ANNA)
    loaded = cache.load("main", adapter.version("head"))
    gc.collect()
    assert store.alive == 0
    assert torch.equal(scores(loaded.adapter), scores(opened(store.inner).adapter))


def test_tensors_that_left_are_read_again_for_whoever_asks() -> None:
    store = RecordingStore(MemoryStore())
    given_records = many_records()
    published(store, given_records)
    loaded = opened(store)
    store.reset()
    record = loaded.adapter.records[20]
    assert record.nbytes == given_records[20].nbytes
    assert set(record.tensors) == set(given_records[20].tensors)
    for name, tensor in given_records[20].tensors.items():
        assert torch.equal(record.tensors[name], tensor)
    assert sum("/records/" in key for _, key in store.keys) == 1


class AskedBy(DamagedStore):
    """Notes which records were asked for, and by which threads."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.asked: list[tuple[str, threading.Thread]] = []

    def before(self, operation: str, key: str) -> None:
        del operation
        if "/records/" in key:
            self.asked.append((key, threading.current_thread()))


@pytest.mark.parametrize("place", [0, 20, MANY - 1])
def test_after_an_opening_that_failed_records_are_read_ahead_as_before(place: int) -> None:
    store = AskedBy(MemoryStore())
    adapter = published(store, many_records())
    cache = VersionCache(Versions(store), base=NamedTower(FINGERPRINT))
    store.damaged.add(adapter.manifest("head").tasks[place].record.sha256)
    with pytest.raises(CorruptionError):
        cache.load("main", adapter.version("head"))
    store.damaged.clear()
    store.asked.clear()
    loaded = cache.load("main", adapter.version("head"))
    # Products of their own, where they were made already, need nothing of their records.
    assert len(store.asked) == len({key for key, _ in store.asked})
    assert MANY - OWN_PRODUCTS <= len(store.asked) <= MANY
    assert threading.current_thread() not in {thread for _, thread in store.asked}
    assert torch.equal(scores(loaded.adapter), scores(opened(store).adapter))


class AskedAtHand(AskedBy):
    """The same of a store that is at hand."""

    @property
    def at_hand(self) -> bool:
        return self.inner.at_hand


def test_records_at_hand_are_read_and_decoded_some_at_once_in_one_other_thread() -> None:
    inner, decoding = MemoryStore(), list[threading.Thread]()
    adapter = published(inner, many_records())
    store = AskedAtHand(inner)
    tasks = adapter.manifest("head").tasks
    sizes = list[int]()

    def make(read: Sequence[tuple[TaskRef, bytes]]) -> list[str]:
        decoding.append(threading.current_thread())
        sizes.append(len(read))
        return [task.task for task, _ in read]

    found = Registry(store).adapter("main").made(tasks, make)
    assert list(found) == [task.task for task in tasks]
    assert sizes == [TOGETHER] * (MANY // TOGETHER)
    (thread,) = {*decoding, *(thread for _, thread in store.asked)}
    assert thread is not threading.current_thread()


def test_a_version_of_loaded_records_is_put_together_from_what_is_read_ahead() -> None:
    store = AskedBy(MemoryStore())
    adapter = published(store, many_records())
    cache = VersionCache(Versions(store), base=NamedTower(FINGERPRINT))
    whole = cache.load("main", adapter.version("head"))
    drop(adapter, "task-3", by=ANNA)
    store.asked.clear()
    left = cache.load("main", adapter.version("head"))
    assert len(store.asked) == MANY - OWN_PRODUCTS
    assert threading.current_thread() not in {thread for _, thread in store.asked}
    gone = [record.tensors for record in left.adapter.records if record in whole.adapter.records]
    assert not any(tensors.are_held for tensors in gone if isinstance(tensors, BlobTensors))


def test_bytes_that_were_damaged_since_are_refused_when_they_are_read_again() -> None:
    store = DamagedStore(MemoryStore())
    adapter = published(store, many_records())
    loaded = opened(store)
    store.damaged.add(adapter.manifest("head").tasks[20].record.sha256)
    with pytest.raises(CorruptionError, match="is damaged"):
        loaded.adapter.records[20].tensors["memory"]
    store.damaged.clear()
    assert len(loaded.adapter.records[20].tensors["memory"])


@pytest.mark.parametrize("place", [0, 1, 12, MANY - 1])
def test_a_damaged_record_is_refused_wherever_it_stands(place: int) -> None:
    store = DamagedStore(MemoryStore())
    adapter = published(store, many_records())
    store.damaged.add(adapter.manifest("head").tasks[place].record.sha256)
    with pytest.raises(CorruptionError, match=f"of task 'task-{place}': .* is damaged") as caught:
        opened(store)
    assert caught.value.fields["task"] == f"task-{place}"
    store.damaged.clear()
    assert len(opened(store).adapter.records) == MANY


@pytest.mark.parametrize("size", [100, None])
def test_a_record_that_nobody_can_have_written_is_named_among_many(size: int | None) -> None:
    store, records = MemoryStore(), many_records()
    adapter = published(store, records[:20])
    tampered = bytearray(encode_record(records[20]))
    tampered[-4:] = b"\x00\x00\xc0\x7f"  # not a number
    added = AddRecord(
        task="task-20",
        submission="task-20-0123456789ab",
        record=Inline(bytes(tampered[:size])),
        classes=3,
    )
    adapter.commit(Commit(updates=(added,), aliases=("head", "production")), by=ANNA)
    with pytest.raises(CorruptionError, match=r"^the record of task 'task-20': "):
        opened(store)


def test_a_version_without_one_of_many_tasks_is_put_together_anew() -> None:
    store = MemoryStore()
    adapter = published(store, many_records())
    cache = VersionCache(Versions(store), base=NamedTower(FINGERPRINT))
    whole = cache.load("main", adapter.version("head"))
    drop(adapter, "task-3", by=ANNA)
    left = cache.load("main", adapter.version("head"))
    assert len(left.adapter.records) == MANY - 1
    assert left.adapter.records[-1] is whole.adapter.records[-1]
    assert torch.equal(scores(left.adapter), scores(opened(store).adapter))


def test_no_more_is_read_ahead_than_is_said() -> None:
    store = WatchedStore(MemoryStore())
    adapter = published(store, many_records())
    kept = list(islice(adapter.records(adapter.manifest("head").tasks), 3))
    assert len(kept) == 3
    assert store.most <= len(kept) + UNDER_WAY < MANY
