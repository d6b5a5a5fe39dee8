"""What roles hand to each other between stages, kept in the store so that a restart finds it.

work/<submission>/learnt.json    the parent version and the blob of what was learnt
work/<submission>/record.json    the same parent and the blob of the finished record
work/<submission>/checkpoint     the training in progress; never published
"""

import json
from dataclasses import asdict

from workers.canonical import canonical_json
from workers.store.base import ObjectStore
from workers.store.blobs import BlobRef, get_blob, put_blob

PREFIX = "work/"
BLOBS = "work/blobs/"


def handover_key(submission_id: str, stage: str) -> str:
    """Return where the handover of `stage` ("learnt" or "record") is kept."""
    return f"{PREFIX}{submission_id}/{stage}.json"


def checkpoint_key(submission_id: str) -> str:
    """Return where the checkpoint of a training is kept."""
    return f"{PREFIX}{submission_id}/checkpoint"


def hand_over(store: ObjectStore, key: str, *, parent: int | None, content: bytes) -> None:
    """Store `content` and the handover that names it."""
    ref = put_blob(store, content, prefix=BLOBS)
    store.put(key, canonical_json({"parent": parent, "blob": asdict(ref)}))


def take_over(store: ObjectStore, key: str) -> tuple[int | None, bytes]:
    """Return the parent version and the verified content of a handover.

    Raises:
        NotFoundError: the stage has not finished.
        CorruptionError: the content is damaged.
    """
    value = json.loads(store.get(key).data)
    return value["parent"], get_blob(store, BlobRef(**value["blob"]), prefix=BLOBS)
