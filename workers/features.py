"""Feature blocks: what the encoder made of one shard, kept so that nothing is embedded twice.

    features/<fingerprint>/<views>/<shard digest>.json    names the blob that holds the block

Shapes: N images · V views per image · D feature width.
"""

import json
from dataclasses import asdict

import torch
from safetensors.torch import load, save
from torch import Tensor

from adapters.errors import NotFoundError
from workers.canonical import canonical_json
from workers.store.base import ObjectStore
from workers.store.blobs import BlobRef, blob_key, get_blob, put_blob
from workers.submission import Shard, Split, Submission

BLOBS = "features/blobs/"


def block_key(fingerprint: str, views: str, shard: Shard) -> str:
    """Return where the block of `shard` is named.

    Args:
        fingerprint: Of the encoder.
        views: Names the views; see `workers.views`.
        shard: The embedded shard.
    """
    return f"features/{fingerprint}/{views}/{shard.digest}.json"


def write_block(store: ObjectStore, key: str, features: Tensor) -> None:
    """Store `features` (N, V, D) float32 as the block named by `key`."""
    ref = put_blob(store, save({"features": features.contiguous()}), prefix=BLOBS)
    store.put(key, canonical_json(asdict(ref)))


def has_block(store: ObjectStore, key: str) -> bool:
    """Return whether the block named by `key` is stored, and what it names is there."""
    blob = block_blob(store, key)
    if blob is None:
        return False
    try:
        store.get_range(blob, 0, 1)
    except NotFoundError:
        return False
    return True


def block_blob(store: ObjectStore, key: str) -> str | None:
    """Return the key of the blob that the block named by `key` is in; None where it names none."""
    try:
        return blob_key(BlobRef(**json.loads(store.get(key).data)), BLOBS)
    except (NotFoundError, ValueError, TypeError):
        return None


def read_block(store: ObjectStore, key: str) -> Tensor:
    """Return the block named by `key`: (N, V, D) float32.

    Raises:
        NotFoundError: it has not been embedded yet.
        CorruptionError: its bytes are not those that were written.
    """
    ref = BlobRef(**json.loads(store.get(key).data))
    return load(get_blob(store, ref, prefix=BLOBS))["features"]


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
