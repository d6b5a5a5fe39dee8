"""The encoder role: every image once, in the order of the labels, reproducible to the bit."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from adapters.errors import CorruptionError
from workers.encoding.blocks import BLOBS, block_key
from workers.encoding.encoder import Encoder
from workers.encoding.features import read_block
from workers.encoding.shard_encoder import BATCH, DECODED_AHEAD, ShardEncoder
from workers.images.decode import decode_image
from workers.images.pixels import Decoder, Pending, PixelTransform
from workers.images.views import Views
from workers.intake.intake import take_in
from workers.store import BlobRef, MemoryStore, blob_key
from workers.store.testing import RecordingStore
from workers.tasks.shards import unpack_shard
from workers.tasks.submission import SHARDS, Shard
from workers.tasks.task import load_task

WriteTask = Callable[..., Path]


def training_shard(store: MemoryStore | RecordingStore, task_file: Path) -> Shard:
    task = replace(load_task(task_file), held_out={})
    submission = take_in(task, store, now=1.0, author="anna").submission
    (shard,) = submission.of_split("train")
    return shard


def embedded(
    encoder: Encoder, store: MemoryStore | RecordingStore, shard: Shard, views: Views
) -> torch.Tensor:
    assert list(ShardEncoder(encoder, store).embed(shard, views))[-1] == len(shard.labels)
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
        alone = encoder.image_tower.features(encoder.transform(picture)[None])[0]
        # Other batch sizes sum in another order; 1e-5 is far below what tells two images apart.
        torch.testing.assert_close(row, alone, atol=1e-5, rtol=0)


def test_images_are_counted_as_they_are_done(encoder: Encoder, write_task: WriteTask) -> None:
    store = MemoryStore()
    shard = training_shard(store, write_task(images=24))
    images = len(shard.labels)
    assert BATCH < images < 2 * BATCH
    assert list(ShardEncoder(encoder, store).embed(shard, Views())) == [0, BATCH, images]


def test_images_are_counted_whole_however_many_views_they_have(
    encoder: Encoder, write_task: WriteTask
) -> None:
    store = MemoryStore()
    shard = training_shard(store, write_task(images=5))
    counted = list(ShardEncoder(encoder, store).embed(shard, Views(count=12)))
    assert counted == [0, 2, 4, 6, 8]  # 2 images of 12 views are the most that fit a batch


def test_what_is_embedded_is_not_embedded_again(encoder: Encoder, write_task: WriteTask) -> None:
    store = RecordingStore(MemoryStore())
    shard = training_shard(store, write_task())
    embedded(encoder, store, shard, Views())
    store.reset()
    assert list(ShardEncoder(encoder, store).embed(shard, Views())) == [len(shard.labels)]
    key = block_key(encoder.fingerprint, "1", shard)
    assert [entry for entry in store.keys if not entry[1].startswith(BLOBS)] == [("get", key)]
    assert store.received < 1_000  # the block itself was not read


def test_what_has_lost_its_bytes_is_embedded_again(encoder: Encoder, write_task: WriteTask) -> None:
    store = MemoryStore()
    shard = training_shard(store, write_task())
    before = embedded(encoder, store, shard, Views())
    (blob,) = store.list(BLOBS)
    store.delete(blob.key)
    assert torch.equal(embedded(encoder, store, shard, Views()), before)


class Elsewhere:
    """Decodes on another machine, as it were: the answer is an array, when it is asked for.

    Attributes:
        happenings: What was begun (B) and asked for (R), in order, by the number of the batch.
    """

    def __init__(self, transform: PixelTransform) -> None:
        self.happenings: list[tuple[str, int]] = []
        self._decoder = Decoder(transform)
        self._count = 0

    def __call__(self, files: Sequence[bytes], digests: Sequence[str], views: Views) -> Pending:
        number, self._count = self._count, self._count + 1
        self.happenings.append(("B", number))
        assert len(files) == len(digests) <= BATCH
        pixels = self._decoder.decode(files, digests, views)
        return Answer(lambda: self._answer(number, pixels))

    def _answer(self, number: int, pixels: torch.Tensor) -> object:
        self.happenings.append(("R", number))
        return pixels.numpy()


class Answer:
    """What another process answers."""

    def __init__(self, ask: Callable[[], object]) -> None:
        self._ask = ask

    def result(self) -> object:
        return self._ask()


def test_wherever_images_are_decoded_the_features_are_the_same_to_the_bit(
    encoder: Encoder, write_task: WriteTask
) -> None:
    path, views = write_task(images=5), Views(count=3)
    here, there = MemoryStore(), MemoryStore()
    embedder = ShardEncoder(encoder, there, decode=Elsewhere(encoder.transform))
    shard = training_shard(there, path)
    list(embedder.embed(shard, views))
    found = read_block(there, block_key(encoder.fingerprint, views.name, shard))
    assert torch.equal(found, embedded(encoder, here, training_shard(here, path), views))


@pytest.mark.slow
def test_a_few_batches_are_decoded_ahead_and_no_more(
    encoder: Encoder, write_task: WriteTask
) -> None:
    store, elsewhere = MemoryStore(), Elsewhere(encoder.transform)
    shard = training_shard(store, write_task(images=5))
    list(ShardEncoder(encoder, store, decode=elsewhere).embed(shard, Views(count=BATCH)))
    ahead, batches = 0, len(shard.labels)  # so many views leave room for one image in a batch
    for kind, number in elsewhere.happenings:
        if kind == "R":  # as far ahead as there is anything to decode
            assert ahead == min(DECODED_AHEAD + 1, batches - number)
        ahead += 1 if kind == "B" else -1
    asked = [number for kind, number in elsewhere.happenings if kind == "R"]
    assert asked == list(range(batches))


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
        list(ShardEncoder(encoder, store).embed(shard, Views()))
    assert not list(store.list("features/"))


def test_an_embedding_that_is_given_up_leaves_nothing_half_done(
    encoder: Encoder, write_task: WriteTask
) -> None:
    store = MemoryStore()
    shard = training_shard(store, write_task(images=24))
    stream = ShardEncoder(encoder, store).embed(shard, Views())
    assert [next(stream), next(stream)] == [0, BATCH]
    del stream
    assert not list(store.list("features/"))
