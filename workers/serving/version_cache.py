"""LRU cache of loaded versions; what several of them hold, records or a tower, is there once."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from weakref import WeakValueDictionary

from cachetools import LRUCache

from adapters.adapter import Adapter
from adapters.contract.placement import Placement
from adapters.contract.records import Record
from adapters.contract.task_features import check_encoder
from adapters.methods import method_named
from adapters.towers.image_tower import FrozenImageTower, ImageTower
from workers.encoding.encoder import Encoder
from workers.registry import Manifest, VersionRef
from workers.registry.record_cache import Versions

MOST = 16
MOST_BYTES = 2**32
A_STEP = 8
"""To grow by one record takes about as long as to take over so many at once."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, weakref_slot=True)
class LoadedVersion:
    """One version, ready to answer.

    Attributes:
        adapter_name: Which adapter it is a version of.
        ref: Its number, and what names its manifest.
        manifest: What it holds, by digests.
        adapter: Its records, put together.
        tower: What it reads images through.
        encoder: Under which it was learnt; None for the configured one.
    """

    adapter_name: str
    ref: VersionRef
    manifest: Manifest
    adapter: Adapter
    tower: ImageTower
    encoder: Encoder | None = None

    @property
    def label(self) -> str:
        """The version as it is written: `adapter@number`."""
        return f"{self.adapter_name}@{self.ref.number}"

    @property
    def digest(self) -> str:
        """SHA-256 of its manifest."""
        return self.ref.manifest.sha256


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """A version that is being opened.

    Attributes:
        label: Which one, as `adapter@number`.
        done: Records that were read, checked and taken over.
        records: Records that are read for it in all.
    """

    label: str
    done: int
    records: int

    def __str__(self) -> str:
        """Return it as people read it."""
        return f"{self.label}: {self.done:,} of {self.records:,} records"


class VersionCache:
    """Loads versions, and keeps the latest used ones.

    Versions are told apart by the digests of their manifests, never by their names. Records that
    several have in common are fetched, decoded and prepared once, so that a second version of an
    adapter costs little more than its own records.

    Args:
        versions: Reads them.
        base: The image tower of the configured encoder.
        other: Returns another encoder by its fingerprint; None where versions of no other one are
            loaded.
        most: How many are kept.
        most_bytes: How many bytes of records, shared state and towers those that are kept may have
            together; the latest used one is kept however large it is.
        placement: Where they are scored, and how their memory is kept.
    """

    # Owns: `_loaded`, `_alive`, `_towers`, `_turns` and `_opening`, guarded by `_lock`. What is in
    # use elsewhere lives on when it leaves `_loaded`, and is found again: a version that is
    # followed is never there twice.

    def __init__(
        self,
        versions: Versions,
        *,
        base: FrozenImageTower,
        other: Callable[[str], Encoder] | None = None,
        most: int = MOST,
        most_bytes: int = MOST_BYTES,
        placement: Placement | None = None,
    ) -> None:
        self._versions = versions
        self._placement = placement or Placement()
        self._most_bytes = most_bytes
        self._base = base
        self._other = other
        self._loaded: LRUCache[str, LoadedVersion] = LRUCache(most)
        self._alive: WeakValueDictionary[str, LoadedVersion] = WeakValueDictionary()
        self._towers: WeakValueDictionary[str, ImageTower] = WeakValueDictionary()
        self._turns: WeakValueDictionary[str, threading.Lock] = WeakValueDictionary()
        self._opening: dict[str, Opening] = {}
        self._lock = threading.Lock()

    def load(self, adapter: str, ref: VersionRef) -> LoadedVersion:
        """Return a version, fetched, verified and built.

        Raises:
            CorruptionError: a blob is damaged.
            NotFoundError: a task of it was purged.
            EncoderMismatchError: it was learnt with an encoder that nobody knows here.
        """
        with self._turn(ref):  # whoever asks for it meanwhile waits, and finds it loaded
            return self._known(ref) or self._kept(self._read(adapter, ref))

    @property
    def labels(self) -> tuple[str, ...]:
        """What is loaded, the latest used last."""
        with self._lock:
            return tuple(loaded.label for loaded in self._loaded.values())

    @property
    def opening(self) -> tuple[Opening, ...]:
        """What is being opened, and how far it is."""
        with self._lock:
            return tuple(self._opening.values())

    def _turn(self, ref: VersionRef) -> threading.Lock:
        """Return what is held while a version is loaded; gone when nobody holds or awaits it."""
        with self._lock:
            return self._turns.setdefault(ref.manifest.sha256, threading.Lock())

    def _read(self, adapter: str, ref: VersionRef) -> LoadedVersion:
        manifest = self._versions.manifest_of(adapter, ref)
        encoder = self._encoder_of(manifest)
        built = self._built(adapter, manifest)
        return LoadedVersion(
            adapter_name=adapter,
            ref=ref,
            manifest=manifest,
            adapter=built,
            tower=self._tower_of(built, encoder.image_tower if encoder else self._base),
            encoder=encoder,
        )

    def _encoder_of(self, manifest: Manifest) -> Encoder | None:
        """Return the encoder of a version; None for the configured one."""
        if self._other is not None and manifest.encoder != self._base.fingerprint:
            return self._other(manifest.encoder)
        check_encoder(self._base.fingerprint, expected=manifest.encoder)
        return None

    def _tower_of(self, built: Adapter, base: FrozenImageTower) -> ImageTower:
        """Return the tower of `built`: the one that is there already, where one is."""
        with self._lock:
            found = self._towers.get(built.fingerprint)
        if found is not None:
            return found
        made = built.image_tower(base)
        with self._lock:
            return self._towers.setdefault(built.fingerprint, made)

    def _built(self, adapter: str, manifest: Manifest) -> Adapter:
        """Return what a version holds, grown out of the loaded one that has most of it."""
        with self._lock:
            loaded = list(self._alive.values())
        beginnings = [entry for entry in loaded if _begins(entry.manifest, manifest)]
        begun = max(beginnings, key=lambda entry: len(entry.manifest.tasks), default=None)
        tasks = manifest.tasks
        steps = len(tasks) - len(begun.manifest.tasks) if begun else 0
        if begun is None or (steps > 1 and steps * A_STEP > len(tasks)):
            return self._opened(adapter, manifest)
        grown, last = begun.adapter, tasks[len(tasks) - steps :]
        passing = method_named(manifest.method).takes_over
        read = self._versions.passing if passing else self._versions.records_of
        for record in self._counted(adapter, manifest, read(adapter, last), len(last)):
            grown = grown.extended(record)
        return grown

    def _opened(self, adapter: str, manifest: Manifest) -> Adapter:
        """Return what a version holds; its records pass where nobody needs them afterwards."""
        shared = self._versions.shared_of(adapter, manifest)
        if not method_named(manifest.method).takes_over:
            records = self._versions.records_of(adapter, manifest.tasks)
            return Adapter(records, shared=shared, placement=self._placement)
        tasks = manifest.tasks
        passing = self._versions.passing(adapter, tasks)
        passing = self._counted(adapter, manifest, passing, len(tasks))
        begun = Adapter([next(passing)], shared=shared, placement=self._placement)
        return begun.extended_by(passing)

    def _counted(
        self, adapter: str, manifest: Manifest, records: Iterable[Record], count: int
    ) -> Iterator[Record]:
        """Yield records, and say meanwhile how many of them were taken over."""
        label = f"{adapter}@{manifest.number}"
        try:
            self._note(Opening(label=label, done=0, records=count))
            for done, record in enumerate(records, 1):
                yield record
                self._note(Opening(label=label, done=done, records=count))
        finally:
            with self._lock:
                self._opening.pop(label, None)

    def _note(self, opening: Opening) -> None:
        with self._lock:
            self._opening[opening.label] = opening

    def _known(self, ref: VersionRef) -> LoadedVersion | None:
        with self._lock:
            found = self._alive.get(ref.manifest.sha256)
        return found and self._kept(found)

    def _kept(self, loaded: LoadedVersion) -> LoadedVersion:
        """Keep `loaded` as the latest used one, and return it."""
        with self._lock:
            self._alive[loaded.digest] = loaded
            self._loaded.pop(loaded.digest, None)  # so that it is listed last, too
            self._loaded[loaded.digest] = loaded
            while len(self._loaded) > 1 and nbytes(self._loaded.values()) > self._most_bytes:
                self._loaded.popitem()
        return loaded


def nbytes(versions: Iterable[LoadedVersion]) -> int:
    """Return the bytes of memory of `versions`: what several of them hold counts once."""
    parts, apart = dict[int, int](), list[Adapter]()
    for version in sorted(versions, key=lambda version: -len(version.adapter.records)):
        adapter = version.adapter
        parts[id(version.tower)] = version.tower.own_bytes
        if adapter.shared is not None:
            parts[id(adapter.shared)] = adapter.shared.nbytes
        if not any(_has_records(longer, adapter) for longer in apart):
            apart.append(adapter)
    if len(apart) == 1:  # one grew out of the other, and what all hold is the longest
        return apart[0].nbytes + sum(parts.values())
    for adapter in apart:
        parts |= {id(record): record.nbytes for record in adapter.records}
    return sum(parts.values())


def _has_records(longer: Adapter, beginning: Adapter) -> bool:
    return longer.records[: len(beginning.records)] == beginning.records


def _begins(beginning: Manifest, manifest: Manifest) -> bool:
    """Return whether a version begins with all that another holds, and shares the same state."""
    ways = [(each.shared, each.method, each.encoder) for each in (beginning, manifest)]
    same = ways[0] == ways[1]
    return same and manifest.tasks[: len(beginning.tasks)] == beginning.tasks
