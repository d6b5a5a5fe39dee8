"""Encoder worker: turns image shards into feature blocks.

Images of one shard are embedded in batches that the shard alone decides, with a fixed number of
threads, so that on one kind of machine a block is reproducible to the bit. While one batch is being
embedded the next ones are decoded, on other CPU cores or other machines.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from workers.encoding.blocks import block_key, has_block
from workers.encoding.encoder import Encoder
from workers.encoding.features import write_block
from workers.images.pixels import Decode, Decoder
from workers.images.views import Views
from workers.store.base import ObjectStore
from workers.store.blobs import BlobRef, get_blob
from workers.tasks.shards import unpack_shard
from workers.tasks.submission import SHARDS, Shard

BATCH = 32
DECODED_AHEAD = 3
DECODING_THREADS = 2


class ShardEncoder:
    """Embeds shards with one encoder, and keeps the result in the store.

    Args:
        encoder: Embeds.
        store: Has the shards and keeps the features.
        decode: Decodes; threads of this process where None.
    """

    # Owns: the threads that decode. The encoder is frozen and the store is shared.

    def __init__(
        self, encoder: Encoder, store: ObjectStore, *, decode: Decode | None = None
    ) -> None:
        self._encoder = encoder
        self._store = store
        self._decode = decode or _in_threads(Decoder(encoder.transform))

    def embed(self, shard: Shard, views: Views) -> Iterator[int]:
        """Make sure that the features of `shard` are stored; yield images done as they are.

        Features that are stored already are not computed again.
        """
        key = block_key(self._encoder.fingerprint, views.name, shard)
        if has_block(self._store, key):
            yield len(shard.labels)
            return
        files = unpack_shard(self._shard(shard))
        yield 0
        blocks = []
        for pixels in self._batches(files, shard.image_digests, views):
            blocks.append(self._encoder.image_features(pixels))
            yield sum(len(block) for block in blocks) // views.count
        features = torch.cat(blocks).reshape(len(files), views.count, -1)
        write_block(self._store, key, features)

    def _shard(self, shard: Shard) -> bytes:
        ref = BlobRef(sha256=shard.digest, size=shard.size)
        return get_blob(self._store, ref, prefix=SHARDS)

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


def _in_threads(decoder: Decoder) -> Decode:
    threads = ThreadPoolExecutor(DECODING_THREADS, thread_name_prefix="decoding")

    def decode(files: Sequence[bytes], digests: Sequence[str], views: Views) -> Future[Tensor]:
        return threads.submit(decoder.decode, files, digests, views)

    return decode
