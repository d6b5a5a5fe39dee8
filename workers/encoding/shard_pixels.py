"""The training images of a submission as pixels, decoded when a learner asks for them.

Shapes: N training images · n images asked for · S side of the encoder's input in pixels
"""

from collections.abc import Sequence
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from adapters.contract.canonical import canonical_json, digest_of
from workers.images.augmentation import numbered_view
from workers.images.decode import decode_image
from workers.images.pixels import PixelTransform
from workers.store.base import ObjectStore
from workers.store.blobs import BlobRef, get_existing_blob
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

    @cached_property
    def digest(self) -> str:
        """Names the images, their order, and how views of them are made.

        The transform is not in there: it is in the encoder's fingerprint.
        """
        images = [digest for shard in self._shards for digest in shard.image_digests]
        return digest_of(canonical_json({"images": images, "augmentation": self._augmentation}))

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
        return unpack_shard(
            get_existing_blob(self._store, ref, prefix=SHARDS, because="its submission names it")
        )
