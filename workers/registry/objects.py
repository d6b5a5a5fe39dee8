"""Content-addressed objects of one adapter: stored under their digest, checked on every read."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import LRUCache

from adapters.errors import NotFoundError
from workers.registry.documents.history import Entry, entry_from_bytes
from workers.registry.documents.layout import REFS, Kind, Stored, object_key, refs_key
from workers.registry.documents.manifest import Manifest, manifest_from_bytes
from workers.registry.documents.purged import Tombstone, tombstones_from_bytes
from workers.registry.documents.refs import Refs, refs_from_bytes
from workers.store.base import ObjectStore
from workers.store.blobs import BlobRef, blob_ref, read_verified
from workers.store.cache import BlobCache
from workers.store.patience import AT_ONCE
from workers.store.serial_document import Held, SerialDocument

REMEMBERED = 64
"""How many manifests, history entries and the like are kept in memory."""

FIRST_LOOKS = 6
"""So often whoever has seen no refs asks for them before it answers with what they say: of two
answers that a store gives by turns it takes the older one in one case of 64."""


class AdapterObjects:
    """Reads and writes the objects of the adapter called `adapter`. Safe between threads.

    Args:
        store: Where they lie.
        adapter: The adapter's name.
        cache: Local copies of them; None reads from the store.
        remembered: How many documents are kept in memory; 0 reads each one every time.
        wary: Whether the refs are asked for `FIRST_LOOKS` times as long as this process has seen
            none, because somebody is told what they say.
    """

    def __init__(
        self,
        store: ObjectStore,
        adapter: str,
        *,
        cache: BlobCache | None = None,
        remembered: int = REMEMBERED,
        wary: bool = False,
    ) -> None:
        self.store = store
        self.adapter = adapter
        self.cache = cache
        self._lock = threading.Lock()
        self._wary = wary
        self.refs_document = SerialDocument(store, refs_key(adapter), refs_from_bytes)
        self._documents: LRUCache[Stored, bytes] = LRUCache(remembered)  # owned by _lock

    def refs(self) -> Refs:
        """Return the current refs, never older ones than this process has seen.

        Raises:
            NotFoundError: there is no such adapter.
            MissingError: there was one, and its refs are not to be found now.
            CorruptionError: they are damaged.
        """
        if self._wary and self.refs_document.seen is None:
            return self.newest_refs()
        return self._held(self.refs_document.read).content

    def newest_refs(self) -> Refs:
        """Return the newest of the refs that the store gives when it is asked `FIRST_LOOKS` times.

        For whoever has seen none before, and cannot tell those from before by their serial.
        Errors are those of `refs`.
        """
        for _ in range(FIRST_LOOKS - 1):
            self._held(self.refs_document.read)
        return self._held(self.refs_document.read).content

    def refs_to_change(self, refused: frozenset[str]) -> Held[Refs]:
        """Return the refs that a change is made of; see `SerialDocument.read_to_change`."""
        return self._held(lambda: self.refs_document.read_to_change(refused))

    def _held(self, read: Callable[[], Held[Refs]]) -> Held[Refs]:
        try:
            return read()
        except NotFoundError as error:
            missing = error
        if self._is_listed():
            return self.store.patience.ask(
                read,
                key=refs_key(self.adapter),
                url=self.store.url,
                because="the store lists it",
            )
        raise NotFoundError(
            f"there is no adapter {self.adapter!r} in {self.store.url}; correct its name, or "
            "submit its first task: an adapter is there when that has been published",
            adapter=self.adapter,
        ) from missing

    def _is_listed(self) -> bool:
        """Ask in another way whether there are refs: nodes that have just started deny objects."""
        if self.store.patience == AT_ONCE:
            return False
        wanted = refs_key(self.adapter)
        return any(listed.key == wanted for listed in self.store.list(REFS))

    def read(self, kind: Kind, stored: Stored, *, because: str = "") -> bytes:
        """Return the checked bytes of an object that exists.

        Args:
            kind: What it is.
            stored: Names it.
            because: What says that it exists; the adapter's history where it is empty.

        Raises:
            MissingError: It is not to be found, however often it is asked for.
            CorruptionError: It is damaged.
        """
        return self.store.patience.ask(
            lambda: self.read_once(kind, stored),
            key=object_key(self.adapter, kind, stored),
            url=self.store.url,
            because=because or f"the history of adapter {self.adapter!r} names it",
        )

    def read_once(self, kind: Kind, stored: Stored) -> bytes:
        """Return the checked bytes of an object, from the local cache where they are there.

        Raises:
            NotFoundError: The store says that there is none.
            CorruptionError: It is damaged.
        """
        cached = self.cache.get(stored.ref) if self.cache else None
        if cached is not None:
            return cached
        data = read_verified(self.store, object_key(self.adapter, kind, stored), stored.ref)
        if self.cache:
            self.cache.put(stored.ref, data)
        return data

    def write(self, kind: Kind, data: bytes, *, area: int) -> Stored:
        """Store `data` under its digest in `area` and return what names it; durable then."""
        stored = place(data, area=area)
        self.store.put(object_key(self.adapter, kind, stored), data)
        if kind is not Kind.RECORD:
            self._remember(stored, data)
        return stored

    def manifest(self, stored: Stored) -> Manifest:
        """Return a version's manifest."""
        data = self._document(Kind.MANIFEST, stored)
        return manifest_from_bytes(data, object_key(self.adapter, Kind.MANIFEST, stored))

    def entry(self, stored: Stored) -> Entry:
        """Return a history entry."""
        data = self._document(Kind.HISTORY, stored)
        return entry_from_bytes(data, object_key(self.adapter, Kind.HISTORY, stored))

    def tombstones(self, stored: Stored) -> tuple[Tombstone, ...]:
        """Return what was purged."""
        data = self._document(Kind.TOMBSTONES, stored)
        return tombstones_from_bytes(data, object_key(self.adapter, Kind.TOMBSTONES, stored))

    def _document(self, kind: Kind, stored: Stored) -> bytes:
        """Return a document that the refs or another document names, so it must be there."""
        with self._lock:
            data = self._documents.get(stored)
        if data is not None:
            return data
        data = self.read(kind, stored)
        self._remember(stored, data)
        return data

    def _remember(self, stored: Stored, data: bytes) -> None:
        if self._documents.maxsize == 0:
            return
        with self._lock:
            self._documents[stored] = data


@dataclass(frozen=True, slots=True)
class StoredPayload:
    """A payload of a commit that lies in the store already."""

    objects: AdapterObjects
    stored: Stored

    @property
    def ref(self) -> BlobRef:
        """Digest and size of the bytes."""
        return self.stored.ref

    def read(self) -> bytes:
        """Return the bytes."""
        return self.objects.read(Kind.RECORD, self.stored)


def place(data: bytes, *, area: int) -> Stored:
    """Return what names `data` once it is stored in `area`."""
    ref = blob_ref(data)
    return Stored(sha256=ref.sha256, size=ref.size, area=area)
