"""Index of feature blocks in the store; a module of its own, as a look-up must not load torch.

features/<fingerprint>/<views>/<shard digest>.json    names the blob that holds the block
"""

from dataclasses import dataclass

from pydantic import ValidationError

from adapters.contract.json_reading import typed
from adapters.errors import CorruptionError, NotFoundError
from workers.formats.documents import Digest, Size, first_problem
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
        return blob_key(named_blob(store, key), BLOBS)
    except (NotFoundError, CorruptionError):
        return None


def named_blob(store: ObjectStore, key: str) -> BlobRef:
    """Return the blob that the block named by `key` is in.

    Raises:
        NotFoundError: it has not been embedded yet.
        CorruptionError: it names none.
    """
    try:
        named = typed(_Named).validate_json(store.get(key).data, strict=True)
    except ValidationError as error:
        raise CorruptionError(
            f"{key!r} in {store.url} is damaged: {first_problem(error)}; remove it, and the shard "
            "is embedded again",
            key=key,
        ) from error
    return BlobRef(sha256=named.sha256, size=named.size)


@dataclass(frozen=True, slots=True)
class _Named:
    sha256: Digest
    size: Size


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
