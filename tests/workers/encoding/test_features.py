"""Feature blocks: what was embedded comes back to the bit, or not at all."""

from dataclasses import replace

import pytest
import torch

from adapters.errors import CorruptionError, NotFoundError
from tests.support.fakes.doubtful_store import DoubtfulStore, RememberingStore
from workers.encoding.blocks import BLOBS, block_key, has_block
from workers.encoding.features import read_block, read_split, write_block
from workers.store import MemoryStore
from workers.tasks.submission import Shard, Split, Submission, SubmittedClass

FINGERPRINT = "f" * 32


def shard(digest: str, *, split: Split = "train", labels: tuple[int, ...] = (0, 1)) -> Shard:
    digests = tuple(f"{digest}{index}" for index in range(len(labels)))
    return Shard(digest=digest, size=1, split=split, labels=labels, image_digests=digests)


def submission(*shards: Shard) -> Submission:
    return Submission(
        submission_id="fruit-1",
        task="fruit",
        adapter="main",
        classes=tuple(SubmittedClass(key=key, name=key) for key in "abc"),
        prompt="a {}",
        shards=shards,
        accepted_at=1.0,
        author="anna",
    )


def block(*, images: int, value: float = 0.0, views: int = 2) -> torch.Tensor:
    return torch.arange(images * views * 4.0).reshape(images, views, 4) + value


def test_a_block_comes_back_to_the_bit() -> None:
    store, features = MemoryStore(), block(images=3) / 7
    write_block(store, "features/x.json", features)
    found = read_block(store, "features/x.json")
    assert found.dtype is torch.float32
    assert torch.equal(found, features)


def test_a_block_that_is_a_view_of_something_larger_is_stored_alone() -> None:
    store, features = MemoryStore(), block(images=4).transpose(0, 1)
    write_block(store, "features/x.json", features)
    assert torch.equal(read_block(store, "features/x.json"), features)


def test_what_has_not_been_embedded_is_not_there() -> None:
    store = MemoryStore()
    assert not has_block(store, "features/x.json")
    with pytest.raises(NotFoundError):
        read_block(store, "features/x.json")


def test_a_block_whose_bytes_are_gone_is_not_there() -> None:
    store = MemoryStore()
    write_block(store, "features/x.json", block(images=2))
    assert has_block(store, "features/x.json")
    (blob,) = store.list(BLOBS)
    store.delete(blob.key)
    assert not has_block(store, "features/x.json")


@pytest.mark.parametrize("content", [b"", b"null", b"5", b"{}", b'{"sha256": "ab", "size": 1}'])
def test_a_damaged_name_of_a_block_names_nothing(content: bytes) -> None:
    store = MemoryStore()
    store.put("features/x.json", content)
    assert not has_block(store, "features/x.json")


def test_a_damaged_block_is_noticed() -> None:
    store = MemoryStore()
    write_block(store, "features/x.json", block(images=2))
    (blob,) = store.list(BLOBS)
    data = bytearray(store.get(blob.key).data)
    data[-1] ^= 1
    store.put(blob.key, bytes(data))
    with pytest.raises(CorruptionError, match=r"is damaged.*restore"):
        read_block(store, "features/x.json")


APART = [
    # another encoder, other views, other images: never the same block
    ("e" * 32, "1", shard("aa")),
    (FINGERPRINT, "4-crop", shard("aa")),
    (FINGERPRINT, "1", shard("bb")),
]


@pytest.mark.parametrize(("fingerprint", "views", "embedded"), APART)
def test_features_that_must_not_meet_have_keys_of_their_own(
    fingerprint: str, views: str, embedded: Shard
) -> None:
    assert block_key(fingerprint, views, embedded) != block_key(FINGERPRINT, "1", shard("aa"))


def test_equal_images_share_their_block_whatever_their_labels() -> None:
    first = shard("aa")
    relabelled = replace(first, labels=(1, 0), split="held_out")
    assert block_key(FINGERPRINT, "1", first) == block_key(FINGERPRINT, "1", relabelled)


def test_a_split_is_its_blocks_in_order_with_their_labels() -> None:
    store = MemoryStore()
    shards = shard("aa", labels=(0, 2)), shard("bb", split="held_out"), shard("cc", labels=(1,))
    for index, entry in enumerate(shards):
        features = block(images=len(entry.labels), value=100.0 * index)
        write_block(store, block_key(FINGERPRINT, "2-crop", entry), features)
    features, labels = read_split(
        store, submission(*shards), "train", fingerprint=FINGERPRINT, views="2-crop"
    )
    expected = torch.cat([block(images=2), block(images=1, value=200.0)])
    assert torch.equal(features, expected)
    assert labels.tolist() == [0, 2, 1]
    assert labels.dtype is torch.int64


def test_a_split_with_one_shard_missing_is_not_there() -> None:
    store, shards = MemoryStore(), (shard("aa"), shard("bb"))
    write_block(store, block_key(FINGERPRINT, "1", shards[0]), block(images=2, views=1))
    with pytest.raises(NotFoundError):
        read_split(store, submission(*shards), "train", fingerprint=FINGERPRINT, views="1")


def test_a_split_without_images_is_empty() -> None:
    features, labels = read_split(
        MemoryStore(), submission(shard("aa")), "held_out", fingerprint=FINGERPRINT, views="1"
    )
    assert (len(features), len(labels)) == (0, 0)


def test_features_that_are_denied_for_seconds_are_read_by_whoever_knows_that_they_were_made() -> (
    None
):
    seen = DoubtfulStore(RememberingStore(MemoryStore()))
    write_block(seen, "features/x.json", block(images=2))
    seen.deny(15.0)
    found = read_block(seen, "features/x.json", patience=seen.patience.longer)
    assert torch.equal(found, block(images=2))


def test_features_that_stay_away_are_to_be_made_again() -> None:
    seen = DoubtfulStore(RememberingStore(MemoryStore()))
    with pytest.raises(NotFoundError, match=r"asked 10 times in 21 s.*let it be embedded again"):
        read_block(seen, "features/x.json", patience=seen.patience.longer)
