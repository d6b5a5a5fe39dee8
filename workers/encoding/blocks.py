"""Index of feature blocks in the store; a module of its own, as a look-up must not load torch.

features/<fingerprint>/<views>/<shard digest>.json    names the blob that holds the block
"""

import json

from adapters.errors import NotFoundError
from workers.store.base import ObjectStore
from workers.store.blobs import BlobRef, blob_key
from workers.tasks.submission import Shard

FEATURES = "features/"
BLOBS = "features/blobs/"


def block_key(fingerprint: str, views: str, shard: Shard) -> str:
    """Return where the block of `shard` is named.

    Args:
        fingerprint: Of the encoder.
        views: Names the views; see `workers.images.views`.
        shard: The embedded shard.
    """
    return f"{FEATURES}{fingerprint}/{views}/{shard.digest}.json"


def block_blob(store: ObjectStore, key: str) -> str | None:
    """Return the key of the blob that the block named by `key` is in; None where it names none."""
    try:
        return blob_key(BlobRef(**json.loads(store.get(key).data)), BLOBS)
    except (NotFoundError, ValueError, TypeError):
        return None


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
