"""Feature blocks: a cache of the features of each shard, so that nothing is embedded twice.

Shapes: N images · V views per image · D feature width.
"""

from dataclasses import asdict

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from adapters.contract.canonical import canonical_json
from adapters.errors import CorruptionError, MissingError, NotFoundError
from workers.encoding.blocks import BLOBS, block_key, named_blob
from workers.store.base import ObjectStore
from workers.store.blobs import get_blob, put_blob
from workers.store.patience import AT_ONCE, Patience
from workers.tasks.submission import Split, Submission


def write_block(store: ObjectStore, key: str, features: Tensor) -> None:
    """Store `features` (N, V, D), or (N, V, P, D), float32 as the block named by `key`."""
    ref = put_blob(store, save({"features": features.contiguous()}), prefix=BLOBS)
    store.put(key, canonical_json(asdict(ref)))


def read_block(store: ObjectStore, key: str, *, patience: Patience = AT_ONCE) -> Tensor:
    """Return the block named by `key`: (N, V, D) float32.

    Args:
        store: The object store.
        key: Its key.
        patience: How long it is asked for, where it should have been embedded.

    Raises:
        NotFoundError: it has not been embedded yet, or is gone.
        CorruptionError: its bytes are not those that were written.
    """
    if patience == AT_ONCE:
        return _block(store, key)
    because = "its shard has been embedded"
    try:
        return patience.ask(lambda: _block(store, key), key=key, url=store.url, because=because)
    except MissingError as error:
        # Features are made again, so nobody waits for them for ever.
        raise NotFoundError(f"{error.message}, or let it be embedded again", key=key) from error


def _block(store: ObjectStore, key: str) -> Tensor:
    content = get_blob(store, named_blob(store, key), prefix=BLOBS)
    try:
        return load(content)["features"]
    except (SafetensorError, KeyError, ValueError, RuntimeError, OverflowError) as error:
        raise CorruptionError(
            f"{key!r} in {store.url} names a blob that holds no features: {error}", key=key
        ) from error


def read_split(
    store: ObjectStore,
    submission: Submission,
    split: Split,
    *,
    fingerprint: str,
    views: str,
    patience: Patience = AT_ONCE,
) -> tuple[Tensor, Tensor]:
    """Return features (N, V, D) float32 and class indices (N,) int64 of one split.

    Raises:
        NotFoundError, CorruptionError: Like `read_block`.
    """
    shards = submission.of_split(split)
    if not shards:
        return torch.zeros(0, 1, 1), torch.zeros(0, dtype=torch.int64)
    keys = [block_key(fingerprint, views, shard) for shard in shards]
    blocks = [read_block(store, key, patience=patience) for key in keys]
    labels = [label for shard in shards for label in shard.labels]
    return torch.cat(blocks), torch.tensor(labels, dtype=torch.int64)
