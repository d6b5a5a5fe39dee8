"""Versions ready to answer: the latest used ones, sharing what they have in common."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from adapters.inference import Adapter
from adapters.records import Record
from workers.registry import VersionRef
from workers.versions import Versions

MOST = 16


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoadedVersion:
    """One version, ready to answer.

    Attributes:
        adapter_name: Which adapter it is a version of.
        ref: Its number, and what names its manifest.
        adapter: Its records, put together.
    """

    adapter_name: str
    ref: VersionRef
    adapter: Adapter

    @property
    def label(self) -> str:
        """The version as it is written: `adapter@number`."""
        return f"{self.adapter_name}@{self.ref.number}"

    @property
    def digest(self) -> str:
        """SHA-256 of its manifest."""
        return self.ref.manifest.sha256


class Shelf:
    """Loads versions, and keeps the latest used ones.

    Versions are told apart by the digests of their manifests, never by their names. Records that
    several have in common are fetched, decoded and prepared once, so that a second version of an
    adapter costs little more than its own records.

    Args:
        versions: Reads them.
        fingerprint: Of the encoder whose features they are to score.
        most: How many are kept.
    """

    # Owns: `_loaded`, guarded by `_lock`; what is in use elsewhere lives on when it leaves.

    def __init__(self, versions: Versions, *, fingerprint: str, most: int = MOST) -> None:
        self._versions = versions
        self._fingerprint = fingerprint
        self._most = most
        self._loaded: OrderedDict[str, LoadedVersion] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, adapter: str, ref: VersionRef) -> LoadedVersion:
        """Return a version, fetched, verified and built.

        Raises:
            CorruptionError: a blob is damaged.
            NotFoundError: a task of it was purged.
            EncoderMismatchError: it was learnt with another encoder.
        """
        known = self._known(ref)
        if known is not None:
            return known
        records = self._versions.records_of(adapter, ref, encoder=self._fingerprint)
        loaded = LoadedVersion(adapter_name=adapter, ref=ref, adapter=self._built(records))
        return self._kept(loaded)

    @property
    def labels(self) -> tuple[str, ...]:
        """What is loaded, the latest used last."""
        with self._lock:
            return tuple(loaded.label for loaded in self._loaded.values())

    def _built(self, records: Sequence[Record]) -> Adapter:
        """Return the adapter of `records`, grown out of the loaded one that shares most of them."""
        with self._lock:
            loaded = [entry.adapter for entry in self._loaded.values()]
        beginnings = [entry for entry in loaded if _begins(entry.records, records)]
        if not beginnings:
            return Adapter(records)
        grown = max(beginnings, key=lambda entry: len(entry.records))
        for record in records[len(grown.records) :]:
            grown = grown.extended(record)
        return grown

    def _known(self, ref: VersionRef) -> LoadedVersion | None:
        with self._lock:
            found = self._loaded.get(ref.manifest.sha256)
            if found is not None:
                self._loaded.move_to_end(ref.manifest.sha256)
            return found

    def _kept(self, loaded: LoadedVersion) -> LoadedVersion:
        """Keep `loaded`, and return the one that another thread has loaded meanwhile."""
        with self._lock:
            kept = self._loaded.setdefault(loaded.digest, loaded)
            self._loaded.move_to_end(loaded.digest)
            while len(self._loaded) > self._most:
                self._loaded.popitem(last=False)
            return kept


def _begins(beginning: Sequence[Record], records: Sequence[Record]) -> bool:
    """Return whether `records` begin with the very same objects."""
    return len(beginning) <= len(records) and all(
        one is other for one, other in zip(beginning, records, strict=False)
    )
