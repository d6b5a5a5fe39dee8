"""Intermediate results between stages, kept in the store so that a restart finds them.

work/<submission>/<parent>/learnt    what was learnt on that parent version (0: on none)
work/<submission>/<parent>/shared    the state that tasks share from then on, where a method has one
work/<submission>/<parent>/record    the finished record
work/<submission>/checkpoint         the training in progress; never published

Each is one sealed object: the SHA-256 of the content, then the content. Learning is deterministic,
so two workers that write the same key write the same bytes.
"""

import hashlib

from adapters.errors import CorruptionError, NotFoundError
from workers.store.base import ObjectStore

PREFIX = "work/"
_DIGEST_BYTES = hashlib.sha256().digest_size


def handover_key(submission_id: str, parent: int, stage: str) -> str:
    """Return where the handover of `stage` ("learnt", "shared" or "record") is kept."""
    return f"{PREFIX}{submission_id}/{parent}/{stage}"


def checkpoint_key(submission_id: str) -> str:
    """Return where the checkpoint of a training is kept."""
    return f"{PREFIX}{submission_id}/checkpoint"


def hand_over(store: ObjectStore, key: str, content: bytes) -> None:
    """Store `content` under `key`; durable when this returns."""
    store.put(key, hashlib.sha256(content).digest() + content)


def take_over(store: ObjectStore, key: str) -> bytes:
    """Return the verified content of a handover.

    Raises:
        NotFoundError: the stage has not finished.
        CorruptionError: the content is damaged.
    """
    data = store.get(key).data
    digest, content = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise CorruptionError(f"{key!r} in {store.url} is damaged; it is made again", key=key)
    return content


def is_handed_over(store: ObjectStore, key: str) -> bool:
    """Return whether a handover is there and intact."""
    try:
        take_over(store, key)
    except (NotFoundError, CorruptionError):
        return False
    return True


def remove_work(store: ObjectStore, submission_id: str) -> None:
    """Remove everything that was handed over for a submission."""
    for listed in list(store.list(f"{PREFIX}{submission_id}/")):
        store.delete(listed.key)
