"""Feature blocks: a cache of the features of each shard, so that nothing is embedded twice.

Shapes: N images · V views per image · D feature width.
"""

from dataclasses import asdict

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from adapters.contract.canonical import canonical_json
from adapters.errors import CorruptionError
from workers.encoding.blocks import BLOBS, block_key, named_blob
from workers.store.base import ObjectStore
from workers.store.blobs import get_blob, put_blob
from workers.tasks.submission import Split, Submission


def write_block(store: ObjectStore, key: str, features: Tensor) -> None:
    """Store `features` (N, V, D), or (N, V, P, D), float32 as the block named by `key`."""
    ref = put_blob(store, save({"features": features.contiguous()}), prefix=BLOBS)
    store.put(key, canonical_json(asdict(ref)))


def read_block(store: ObjectStore, key: str) -> Tensor:
    """Return the block named by `key`: (N, V, D) float32.

    Raises:
        NotFoundError: it has not been embedded yet.
        CorruptionError: its bytes are not those that were written.
    """
    content = get_blob(store, named_blob(store, key), prefix=BLOBS)
    try:
        return load(content)["features"]
    except (SafetensorError, KeyError, ValueError, RuntimeError, OverflowError) as error:
        raise CorruptionError(
            f"{key!r} in {store.url} names a blob that holds no features: {error}", key=key
        ) from error


def read_split(
    store: ObjectStore, submission: Submission, split: Split, *, fingerprint: str, views: str
) -> tuple[Tensor, Tensor]:
    """Return features (N, V, D) float32 and class indices (N,) int64 of one split."""
    shards = submission.of_split(split)
    if not shards:
        return torch.zeros(0, 1, 1), torch.zeros(0, dtype=torch.int64)
    blocks = [read_block(store, block_key(fingerprint, views, shard)) for shard in shards]
    labels = [label for shard in shards for label in shard.labels]
    return torch.cat(blocks), torch.tensor(labels, dtype=torch.int64)
