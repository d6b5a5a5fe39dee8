"""The encoder role: every image once, in the order of the labels, reproducible to the bit."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from adapters.errors import CorruptionError
from workers.embedding import BATCH, Embedder
from workers.encoder import Encoder
from workers.features import block_key, read_block
from workers.images import decode_image
from workers.intake import take_in
from workers.shards import unpack_shard
from workers.store import BlobRef, MemoryStore, blob_key
from workers.store.wrappers import RecordingStore
from workers.submission import SHARDS, Shard
from workers.task import load_task
from workers.views import Views

WriteTask = Callable[..., Path]


def training_shard(store: MemoryStore | RecordingStore, task_file: Path) -> Shard:
    task = replace(load_task(task_file), held_out={})
    submission = take_in(task, store, now=1.0, author="anna").submission
    (shard,) = submission.of_split("train")
    return shard


def embedded(
    encoder: Encoder, store: MemoryStore | RecordingStore, shard: Shard, views: Views
) -> torch.Tensor:
    assert list(Embedder(encoder, store).embed(shard, views))[-1] == len(shard.labels)
    return read_block(store, block_key(encoder.fingerprint, views.name, shard))


def test_row_by_row_the_features_are_those_of_the_images(
    encoder: Encoder, write_task: WriteTask
) -> None:
    store = MemoryStore()
    shard = training_shard(store, write_task(images=3))
    features = embedded(encoder, store, shard, Views())
    assert features.shape == (6, 1, encoder.width)
    files = unpack_shard(store.get(next(store.list(SHARDS)).key).data)
    for row, file in zip(features[:, 0], files, strict=True):
        picture = decode_image(file, origin="test")
        alone = encoder.image_features(encoder.transform(picture)[None])[0]
        # Other batch sizes sum in another order; 1e-5 is far below what tells two images apart.
        torch.testing.assert_close(row, alone, atol=1e-5, rtol=0)


def test_images_are_counted_as_they_are_done(encoder: Encoder, write_task: WriteTask) -> None:
    store = MemoryStore()
    shard = training_shard(store, write_task(images=24))
    images = len(shard.labels)
    assert BATCH < images < 2 * BATCH
    assert list(Embedder(encoder, store).embed(shard, Views())) == [BATCH, images]


def test_what_is_embedded_is_not_embedded_again(encoder: Encoder, write_task: WriteTask) -> None:
    store = RecordingStore(MemoryStore())
    shard = training_shard(store, write_task())
    embedded(encoder, store, shard, Views())
    store.reset()
    assert list(Embedder(encoder, store).embed(shard, Views())) == [len(shard.labels)]
    key = block_key(encoder.fingerprint, "1", shard)
    assert store.keys == [("get", key)]


def test_embedding_anew_gives_the_same_bits(encoder: Encoder, write_task: WriteTask) -> None:
    path = write_task()
    stores = MemoryStore(), MemoryStore()
    first, second = (
        embedded(encoder, store, training_shard(store, path), Views(count=2)) for store in stores
    )
    assert torch.equal(first, second)


def test_the_first_view_is_the_test_view(encoder: Encoder, write_task: WriteTask) -> None:
    store, path = MemoryStore(), write_task(images=3)
    for number, file in enumerate(sorted(path.parent.glob("images/*/*.png"))):
        # Every crop of a plain picture looks alike; those of a ramp do not.
        Image.linear_gradient("L").rotate(15 * number).save(file)
    shard = training_shard(store, path)
    views = embedded(encoder, store, shard, Views(count=3))
    assert not torch.allclose(views[:, 0], views[:, 2], atol=1e-3)
    assert views.shape == (6, 3, encoder.width)
    test_view = embedded(encoder, store, shard, Views())[:, 0]
    # Batches hold other images where there are more views; see above.
    torch.testing.assert_close(views[:, 0], test_view, atol=1e-5, rtol=0)


def test_views_with_and_without_mirroring_are_kept_apart(
    encoder: Encoder, write_task: WriteTask
) -> None:
    store = MemoryStore()
    shard = training_shard(store, write_task(images=2))
    embedded(encoder, store, shard, Views(count=2))
    embedded(encoder, store, shard, Views(count=2, augmentation="crop"))
    assert len([entry for entry in store.list("features/") if entry.key.endswith(".json")]) == 2


def test_a_damaged_shard_is_noticed_and_nothing_is_kept(
    encoder: Encoder, write_task: WriteTask
) -> None:
    store = MemoryStore()
    shard = training_shard(store, write_task())
    blob = blob_key(BlobRef(sha256=shard.digest, size=shard.size), SHARDS)
    store.put(blob, store.get(blob).data[:-1])
    with pytest.raises(CorruptionError, match="is damaged"):
        list(Embedder(encoder, store).embed(shard, Views()))
    assert not list(store.list("features/"))


def test_an_embedding_that_is_given_up_leaves_nothing_half_done(
    encoder: Encoder, write_task: WriteTask
) -> None:
    store = MemoryStore()
    shard = training_shard(store, write_task(images=24))
    stream = Embedder(encoder, store).embed(shard, Views())
    assert next(iter(stream)) == BATCH
    del stream
    assert not list(store.list("features/"))
