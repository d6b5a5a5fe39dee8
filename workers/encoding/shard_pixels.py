"""The training images of a submission as pixels, decoded when a learner asks for them.

Shapes: N training images · n images asked for · S side of the encoder's input in pixels
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from workers.images.decode import decode_image
from workers.images.pixels import PixelTransform
from workers.images.views import numbered_view
from workers.store.base import ObjectStore
from workers.store.blobs import BlobRef, get_blob
from workers.tasks.shards import unpack_shard
from workers.tasks.submission import SHARDS, Shard, Submission

KEPT_SHARDS = 4


class ShardPixels:
    """A `PixelSource` over the shards of a submission.

    Args:
        store: Has the shards.
        submission: Whose training images, in the order of its labels.
        transform: The encoder's test transform.
    """

    # Owns: the shards that were read last, in a cache that guards itself.

    def __init__(
        self, store: ObjectStore, submission: Submission, transform: PixelTransform
    ) -> None:
        self._store = store
        self._transform = transform
        self._augmentation = submission.augmentation
        self._shards = submission.of_split("train")
        self._places = [
            (shard, index) for shard in self._shards for index in range(len(shard.labels))
        ]
        self._unpacked = lru_cache(KEPT_SHARDS)(self._read)

    def __call__(self, images: Sequence[int], *, view: int = 0) -> Tensor:
        """See `PixelSource`; (n, 3, S, S) uint8.

        Raises:
            NotFoundError: a shard was removed.
            CorruptionError: a shard is damaged.
        """
        return torch.stack([self._pixels(*self._places[place], view) for place in images])

    def _pixels(self, shard: Shard, index: int, view: int) -> Tensor:
        digest = shard.image_digests[index]
        picture = decode_image(self._unpacked(shard)[index], origin=f"image {digest[:12]}")
        pixels = self._transform(picture)
        if view == 0:
            return pixels
        side = pixels.shape[-1]
        augmented = numbered_view(
            picture, view, augmentation=self._augmentation, digest=digest, size=side
        )
        return self._transform(augmented)

    def _read(self, shard: Shard) -> tuple[bytes, ...]:
        ref = BlobRef(sha256=shard.digest, size=shard.size)
        return unpack_shard(get_blob(self._store, ref, prefix=SHARDS))
