"""Encoder worker: turns image shards into feature blocks.

Images of one shard are embedded in batches that the shard alone decides, with a fixed number of
threads, so that on one kind of machine a block is reproducible to the bit. While one batch is being
embedded the next ones are decoded, on other CPU cores or other machines.
"""

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import torch
from torch import Tensor

from adapters.towers.image_tower import ImageTower
from workers.concurrency.bounded import ContextThreads
from workers.encoding.blocks import block_key, has_block
from workers.encoding.encoder import Encoder
from workers.encoding.features import write_block
from workers.images.pixels import Decode, Decoder
from workers.images.views import Views
from workers.metrics.families import IMAGES_ENCODED
from workers.metrics.meter import UNREAD, Meter
from workers.store.base import ObjectStore
from workers.store.blobs import BlobRef, get_existing_blob
from workers.tasks.shards import unpack_shard
from workers.tasks.submission import SHARDS, Shard, Split, Submission

BATCH = 32
DECODED_AHEAD = 3
logger = logging.getLogger("nacre.encoder")
DECODING_THREADS = 2


class ShardEncoder:
    """Embeds shards with one encoder, and keeps the result in the store.

    Args:
        encoder: Embeds.
        store: Has the shards and keeps the features.
        decode: Decodes; threads of this process where None.
        meter: Counts images.
    """

    # Owns: the threads that decode. The encoder is frozen and the store is shared.

    def __init__(
        self,
        encoder: Encoder,
        store: ObjectStore,
        *,
        decode: Decode | None = None,
        meter: Meter = UNREAD,
    ) -> None:
        self._encoder = encoder
        self._store = store
        self._meter = meter
        self._decode = decode or _in_threads(Decoder(encoder.transform))

    def embed(
        self,
        shard: Shard,
        views: Views,
        *,
        tower: ImageTower | None = None,
        packed: bytes | None = None,
    ) -> Iterator[int]:
        """Make sure that the features of `shard` are stored; yield images done as they are.

        Features that are stored already are not computed again.

        Args:
            shard: The images.
            views: How many views of each, and how they are drawn.
            tower: A tower that a method has made of the encoder's; None for the encoder's own.
            packed: The shard itself; read from the store where None.
        """
        tower = tower or self._encoder.image_tower
        key = block_key(tower.fingerprint, views.name, shard)
        if has_block(self._store, key):
            yield len(shard.labels)
            return
        began = time.monotonic()
        files = unpack_shard(self._shard(shard) if packed is None else packed)
        yield 0
        blocks = []
        for pixels in self._batches(files, shard.image_digests, views):
            blocks.append(tower.features(pixels))
            yield sum(len(block) for block in blocks) // views.count
        features = by_view(torch.cat(blocks), views.count)
        write_block(self._store, key, features)
        self._meter.count(IMAGES_ENCODED, self._encoder.device.type, by=len(shard.labels))
        logger.info(
            "embedded shard %s on %s: %d images in %s, %.1f s",
            shard.digest[:12],
            self._encoder.device,
            len(shard.labels),
            "one view" if views.count == 1 else f"{views.count} views",
            time.monotonic() - began,
        )

    def embed_split(self, submission: Submission, split: Split, tower: ImageTower) -> None:
        """Make sure that the test views of all images of a split are stored under `tower`."""
        for shard in submission.of_split(split):
            for _ in self.embed(shard, Views(), tower=tower):
                pass

    def _shard(self, shard: Shard) -> bytes:
        ref = BlobRef(sha256=shard.digest, size=shard.size)
        return get_existing_blob(self._store, ref, prefix=SHARDS, because="its submission names it")

    def _batches(
        self, files: Sequence[bytes], digests: Sequence[str], views: Views
    ) -> Iterator[Tensor]:
        """Yield pixels, (BATCH, 3, S, S) uint8 at most; a few batches are decoded ahead."""
        images = max(1, BATCH // views.count)
        pending: deque[Any] = deque()
        for start in range(0, len(files), images):
            part = slice(start, start + images)
            pending.append(self._decode(files[part], digests[part], views))
            if len(pending) > DECODED_AHEAD:
                yield torch.as_tensor(pending.popleft().result())
        while pending:
            yield torch.as_tensor(pending.popleft().result())


def by_view(features: Tensor, views: int) -> Tensor:
    """Return (N V, ...) features, an image's views one after another, as (N, V, ...)."""
    return features.reshape(-1, views, *features.shape[1:])


def _in_threads(decoder: Decoder) -> Decode:
    threads = ContextThreads(DECODING_THREADS, thread_name_prefix="decoding")

    def decode(files: Sequence[bytes], digests: Sequence[str], views: Views) -> Future[Tensor]:
        return threads.submit(decoder.decode, files, digests, views)

    return decode
