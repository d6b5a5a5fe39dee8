"""Blobs: immutable bytes whose key is their digest, so that a read can be checked."""

import hashlib
from dataclasses import dataclass

from adapters.errors import CorruptionError
from workers.store.base import ObjectStore


@dataclass(frozen=True, kw_only=True, slots=True)
class BlobRef:
    """What names a blob: the SHA-256 of its bytes in hexadecimal, and their number."""

    sha256: str
    size: int


def blob_ref(data: bytes) -> BlobRef:
    """Return the reference of `data` without storing it."""
    return BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def blob_key(ref: BlobRef, prefix: str) -> str:
    """Return where the blob lies: PREFIX<first two digits>/<digest>."""
    return f"{prefix}{ref.sha256[:2]}/{ref.sha256}"


def put_blob(store: ObjectStore, data: bytes, *, prefix: str) -> BlobRef:
    """Store `data` under its digest and return its reference; durable when this returns.

    A blob that exists is written again: that renews its age, which keeps it out of a `gc` that
    is about to start.
    """
    ref = blob_ref(data)
    store.put(blob_key(ref, prefix), data)
    return ref


def get_existing_blob(store: ObjectStore, ref: BlobRef, *, prefix: str, because: str) -> bytes:
    """Return the bytes of a blob of which something says that it exists.

    It is asked for with the patience of work that nobody waits for.

    Raises:
        MissingError: it is not to be found, however often it was asked for.
        CorruptionError: The stored bytes are not those that were written.
    """
    key = blob_key(ref, prefix)
    return store.patience.longer.ask(
        lambda: read_verified(store, key, ref), key=key, url=store.url, because=because
    )


def get_blob(store: ObjectStore, ref: BlobRef, *, prefix: str) -> bytes:
    """Return the bytes of a blob after checking them.

    Raises:
        NotFoundError: There is no such blob.
        CorruptionError: The stored bytes are not those that were written.
    """
    return read_verified(store, blob_key(ref, prefix), ref)


def read_verified(store: ObjectStore, key: str, ref: BlobRef) -> bytes:
    """Return the bytes under `key` after checking that they are those of `ref`.

    Raises:
        NotFoundError: There is nothing under `key`.
        CorruptionError: There are other bytes under `key`.
    """
    # One byte more than promised: an object that has grown is noticed, but never read whole.
    data = store.get_range(key, 0, ref.size + 1)
    return verified(data, ref, f"{key!r} in {store.url}")


def verified(data: bytes, ref: BlobRef, what: str) -> bytes:
    """Return `data`; CorruptionError naming `what` when its digest is not that of `ref`."""
    found = blob_ref(data)
    if found != ref:
        raise CorruptionError(
            f"{what} is damaged: expected {ref.size} bytes with SHA-256 {ref.sha256}, found "
            f"{'more' if found.size > ref.size else found.size} with {found.sha256}; restore the "
            "object from a copy or a backup",
            expected=ref.sha256,
            found=found.sha256,
        )
    return data
