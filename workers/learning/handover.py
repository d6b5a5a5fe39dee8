"""Intermediate results between stages, kept in the store so that a restart finds them.

work/<submission>/<parent>/learnt    what was learnt on that parent version (0: on none)
work/<submission>/<parent>/shared    the state that tasks share from then on, where a method has one
work/<submission>/<parent>/fitted    the temperature of its scores
work/<submission>/<parent>/record    the finished record
work/<submission>/checkpoint         the training in progress; never published
work/<submission>/trial              the same of the trial that the temperature is fitted on
measured/<adapter>                   answers of its newest version, see `kept_answers`

Each is one sealed object: the SHA-256 of the content, then the content. Learning is deterministic,
so two workers that write the same key write the same bytes.
"""

import hashlib

from adapters.errors import CorruptionError, NotFoundError
from workers.store import absent
from workers.store.base import Object, ObjectStore

PREFIX = "work/"
ANSWERS = "measured/"
_DIGEST_BYTES = hashlib.sha256().digest_size


def handover_key(submission_id: str, parent: int, stage: str) -> str:
    """Return where the handover of `stage` ("learnt", "shared", "fitted" or "record") is kept."""
    return f"{PREFIX}{submission_id}/{parent}/{stage}"


def checkpoint_key(submission_id: str) -> str:
    """Return where the checkpoint of a training is kept."""
    return f"{PREFIX}{submission_id}/checkpoint"


def trial_key(submission_id: str) -> str:
    """Return where the checkpoint of a trial is kept."""
    return f"{PREFIX}{submission_id}/trial"


def answers_key(adapter: str) -> str:
    """Return where the answers of an adapter's newest version are kept."""
    return f"{ANSWERS}{adapter}"


def hand_over(store: ObjectStore, key: str, content: bytes) -> None:
    """Store `content` under `key`; durable when this returns."""
    store.put(key, hashlib.sha256(content).digest() + content)


def take_over(store: ObjectStore, key: str) -> bytes:
    """Return the verified content of a handover; whether its stage has finished is the question.

    Raises:
        NotFoundError: the stage has not finished.
        MissingError: it has, and the content is not to be found now.
        CorruptionError: the content is damaged.
    """
    found = find_handover(store, key)
    if found is None:
        raise NotFoundError(f"no object {key!r} in {store.url}", key=key)
    return found


def take_over_finished(store: ObjectStore, key: str) -> bytes:
    """Return the verified content of a handover whose stage has finished.

    Raises:
        MissingError: the content is not to be found now.
        CorruptionError: the content is damaged.
    """
    because = "the stage that hands it over has finished"
    found = store.patience.longer.ask(
        lambda: store.get(key), key=key, url=store.url, because=because
    )
    return _verified(store, key, found)


def find_handover(store: ObjectStore, key: str, *, beside: str | None = None) -> bytes | None:
    """Return the verified content of a handover; None where there is none.

    Args:
        store: The object store.
        key: Its key.
        beside: The key of another handover on the same version that is there.

    Raises:
        MissingError: there is one, and it is not to be found now.
        CorruptionError: the content is damaged.
    """
    found = absent.find(store, key, beside=beside)
    return None if found is None else _verified(store, key, found)


def _verified(store: ObjectStore, key: str, found: Object) -> bytes:
    digest, content = found.data[:_DIGEST_BYTES], found.data[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise CorruptionError(f"{key!r} in {store.url} is damaged; it is made again", key=key)
    return content


def is_handed_over(store: ObjectStore, key: str) -> bool:
    """Return whether a handover is there and intact."""
    try:
        return find_handover(store, key) is not None
    except CorruptionError:
        return False


def remove_work(store: ObjectStore, submission_id: str) -> None:
    """Remove everything that was handed over for a submission."""
    for listed in list(store.list(f"{PREFIX}{submission_id}/")):
        store.delete(listed.key)
