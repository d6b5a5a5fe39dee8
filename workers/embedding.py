"""The encoder role: turns image shards into feature blocks.

Images of one shard are embedded in batches that the shard alone decides, with a fixed number of
threads, so that on one kind of machine a block is reproducible to the bit.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from workers.encoder import Encoder
from workers.features import block_key, has_block, write_block
from workers.images import decode_image
from workers.shards import unpack_shard
from workers.store.base import ObjectStore
from workers.store.blobs import BlobRef, get_blob
from workers.submission import SHARDS, Shard
from workers.views import Views, augmented_views

BATCH = 32
DECODING_THREADS = 2


class Embedder:
    """Embeds shards with one encoder, and keeps the result in the store."""

    # Owns: nothing that changes; the encoder is frozen and the store is shared.

    def __init__(self, encoder: Encoder, store: ObjectStore) -> None:
        self._encoder = encoder
        self._store = store

    def embed(self, shard: Shard, views: Views) -> Iterator[int]:
        """Make sure that the features of `shard` are stored; yield images done as they are.

        Features that are stored already are not computed again.
        """
        key = block_key(self._encoder.fingerprint, views.name, shard)
        if has_block(self._store, key):
            yield len(shard.labels)
            return
        files = unpack_shard(self._shard(shard))
        blocks = []
        for pixels in self._batches(files, shard, views):
            blocks.append(self._encoder.image_features(pixels))
            yield sum(len(block) for block in blocks) // views.count
        features = torch.cat(blocks).reshape(len(files), views.count, -1)
        write_block(self._store, key, features)

    def _shard(self, shard: Shard) -> bytes:
        ref = BlobRef(sha256=shard.digest, size=shard.size)
        return get_blob(self._store, ref, prefix=SHARDS)

    def _batches(self, files: Sequence[bytes], shard: Shard, views: Views) -> Iterator[Tensor]:
        """Yield pixels (BATCH, 3, H, W), an image's views one after another."""
        with ThreadPoolExecutor(DECODING_THREADS) as threads:
            named = list(zip(files, shard.image_digests, strict=True))
            images = max(1, BATCH // views.count)
            for start in range(0, len(named), images):
                group = named[start : start + images]
                pixels = threads.map(lambda file: self._pixels(file[0], file[1], views), group)
                yield torch.cat(list(pixels))

    def _pixels(self, content: bytes, digest: str, views: Views) -> Tensor:
        picture = decode_image(content, origin=f"image {digest[:12]}")
        first = self._encoder.transform(picture)
        others = augmented_views(picture, views, digest=digest, size=first.shape[-1])
        return torch.stack([first, *map(self._encoder.transform, others)])
