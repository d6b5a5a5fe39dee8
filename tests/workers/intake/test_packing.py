"""Storing shards: a few in memory at a time, and only what was checked."""

import threading
from dataclasses import dataclass, field

import pytest

from adapters.contract.canonical import digest_of
from adapters.errors import ImageError
from workers.intake.packing import THREADS, plan_shards, store_shards
from workers.intake.reading import Sample
from workers.sources import ImageRef
from workers.sources.places.stored import StoredPlace
from workers.store import MemoryStore
from workers.store.testing import WrappedStore
from workers.tasks.shards import MAX_IMAGES, pack_shard, unpack_shard
from workers.tasks.submission import SHARDS

IMAGES = 3_000


@dataclass
class Balance:
    """How many images have been read and not been stored yet.

    Attributes:
        now: At this moment.
        most: At any moment so far.
    """

    now: int = 0
    most: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, images: int) -> None:
        with self.lock:
            self.now += images
            self.most = max(self.most, self.now)


class Counted(WrappedStore):
    """Holds images and shards, and keeps the balance of both."""

    def __init__(self, balance: Balance) -> None:
        super().__init__(MemoryStore())
        self.balance = balance

    def before(self, operation: str, key: str) -> None:
        if operation == "get_range" and key.startswith("images/"):
            self.balance.add(1)

    def put(self, key: str, data: bytes) -> None:
        super().put(key, data)
        if key.startswith(SHARDS):
            self.balance.add(-len(unpack_shard(data)))


def sample(store: Counted, number: int) -> Sample:
    content, name = f"image {number}".encode(), f"images/{number}"
    store.put(name, content)
    return Sample(
        ref=ImageRef(place=StoredPlace(store, "here"), name=name),
        split="train",
        label=number % 7,
        digest=digest_of(content),
        size=len(content),
    )


def test_few_shards_are_in_memory_however_many_there_are() -> None:
    balance = Balance()
    store = Counted(balance)
    planned = plan_shards([sample(store, number) for number in range(IMAGES)])
    shards = list(store_shards(store, planned))
    assert sum(len(shard.labels) for shard in shards) == IMAGES
    assert balance.now == 0
    assert 0 < balance.most <= THREADS * MAX_IMAGES < IMAGES / 4


def test_a_shard_is_stored_as_it_was_planned_and_labels_follow_their_images() -> None:
    store = Counted(Balance())
    samples = [sample(store, number) for number in range(600)]
    planned = plan_shards(samples)
    labels = {each.digest: each.label for each in samples}
    for (plan, group), shard in zip(planned, store_shards(store, planned), strict=True):
        content = store.get(f"{SHARDS}{shard.digest[:2]}/{shard.digest}").data
        assert (len(content), digest_of(content)) == (plan.size, shard.digest)
        assert content == pack_shard([each.ref.read() for each in group])
        assert [labels[digest] for digest in shard.image_digests] == list(shard.labels)


def test_an_image_that_changed_since_it_was_checked_is_an_error() -> None:
    store = Counted(Balance())
    planned = plan_shards([sample(store, number) for number in range(5)])
    store.put("images/3", b"something else")
    with pytest.raises(ImageError, match="images/3 changed while the task was taken in"):
        list(store_shards(store, planned))
