"""Object stores: one small interface, its memory and file forms, blobs, and a local cache."""

from workers.store.base import Listed, Object, ObjectStore
from workers.store.blobs import BlobRef, blob_key, blob_ref, get_blob, put_blob
from workers.store.cache import BlobCache
from workers.store.file import FileStore
from workers.store.local import open_local_store
from workers.store.memory import MemoryStore

__all__ = [
    "BlobCache",
    "BlobRef",
    "FileStore",
    "Listed",
    "MemoryStore",
    "Object",
    "ObjectStore",
    "blob_key",
    "blob_ref",
    "get_blob",
    "open_local_store",
    "put_blob",
]
