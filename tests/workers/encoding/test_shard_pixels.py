"""The images of a submission as pixels: what names them."""

from dataclasses import replace

from tests.support.scenes.submissions import submission
from workers.encoding.shard_pixels import ShardPixels
from workers.images.pixels import PixelTransform
from workers.store import MemoryStore
from workers.tasks.submission import Submission


def digest_of(entry: Submission) -> str:
    transform = PixelTransform({"size": 8})
    return ShardPixels(MemoryStore(), entry, transform).digest


def test_the_digest_names_the_training_images_their_order_and_their_augmentation() -> None:
    entry = submission("zoo")
    train, test = entry.shards
    turned = replace(train, image_digests=train.image_digests[::-1])
    others = [
        replace(entry, shards=(turned, test)),
        replace(entry, shards=(replace(train, image_digests=("1", "2", "5")), test)),
        replace(entry, augmentation="crop"),
    ]
    assert len({digest_of(each) for each in (entry, *others)}) == 1 + len(others)
    # What it is measured on is no part of what it is learnt from.
    assert digest_of(replace(entry, shards=(train,))) == digest_of(entry)
