"""Reading an adapter's versions: from an alias or a number to decoded records."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from adapters.errors import NotFoundError
from adapters.records import Record, decode_record
from adapters.task_features import check_encoder
from workers.registry import Manifest, Registry, TaskRef
from workers.store.base import ObjectStore

KEPT_RECORDS = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionFacts:
    """A version's manifest and the digest that names it."""

    manifest: Manifest
    digest: str


class Versions:
    """Reads versions, and keeps the records that it has decoded.

    Two versions that share a record share the decoded one too.
    """

    # Owns: `_records`, guarded by `_lock`.

    def __init__(self, store: ObjectStore) -> None:
        self.registry = Registry(store)
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._lock = threading.Lock()

    def resolve(self, adapter: str, name: str | int) -> int | None:
        """Return the version that `name` means: a number, or an alias; None for no such alias."""
        try:
            return self.registry.adapter(adapter).resolve(name)
        except NotFoundError:
            return None

    def head(self, adapter: str) -> tuple[int | None, tuple[Record, ...]]:
        """Return the version that the next task builds on, and its records."""
        number = self.resolve(adapter, "head")
        return number, self.records(adapter, number) if number else ()

    def check_encoder(self, adapter: str, number: int, fingerprint: str) -> VersionFacts:
        """Return version `number`; EncoderMismatchError unless it was learnt with that encoder."""
        handle = self.registry.adapter(adapter)
        version = handle.version(number)
        manifest = handle.manifest(number)
        check_encoder(fingerprint, expected=manifest.encoder)
        return VersionFacts(manifest=manifest, digest=version.manifest.sha256)

    def records(self, adapter: str, number: int) -> tuple[Record, ...]:
        """Return the records of version `number`, oldest first.

        Raises:
            NotFoundError: there is no such version.
            CorruptionError: a record's bytes are not those that were published.
        """
        handle = self.registry.adapter(adapter)
        manifest = handle.manifest(number)
        return tuple(self._record(adapter, task) for task in manifest.tasks)

    def _record(self, adapter: str, task: TaskRef) -> Record:
        digest = task.record.sha256
        with self._lock:
            if digest in self._records:
                self._records.move_to_end(digest)
                return self._records[digest]
        record = decode_record(self.registry.adapter(adapter).record_bytes(task))
        with self._lock:
            self._records[digest] = record
            while len(self._records) > KEPT_RECORDS:
                self._records.popitem(last=False)
        return record
