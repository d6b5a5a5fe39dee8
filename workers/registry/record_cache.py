"""Record cache: opens versions by alias or number, and decodes each record once."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from adapters.contract.adapter_state import AdapterState, SharedState, decode_shared
from adapters.contract.records import Record, decode_record, decode_records
from adapters.contract.task_features import check_encoder
from adapters.contract.tensor_blob import BlobTensors
from adapters.errors import CorruptionError, NotFoundError
from workers.registry import (
    Audience,
    Manifest,
    RegisteredAdapter,
    Registry,
    TaskRef,
    VersionRef,
)
from workers.registry.reader import of_task
from workers.store import BlobCache, ObjectStore
from workers.store.decoded_cache import DecodedCache


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionFacts:
    """A version's manifest and the digest that names it."""

    manifest: Manifest
    digest: str


class Versions:
    """Reads versions, and keeps the records that it has decoded.

    Two versions that share a record, or shared state, share the decoded one too.
    """

    def __init__(
        self,
        store: ObjectStore,
        cache: BlobCache | None = None,
        *,
        audience: Audience | None = None,
    ) -> None:
        self.registry = Registry(store, cache, audience=audience)
        self._decoded = DecodedCache()

    def resolve(self, adapter: str, name: str | int) -> int | None:
        """Return the version that `name` means: a number, or an alias; None for no such alias."""
        try:
            return self.registry.adapter(adapter).resolve(name)
        except NotFoundError:
            return None

    def check_encoder(self, adapter: str, number: int, fingerprint: str) -> VersionFacts:
        """Return version `number`; EncoderMismatchError unless it was learnt with that encoder."""
        handle = self.registry.adapter(adapter)
        version = handle.version(number)
        manifest = handle.manifest(number)
        check_encoder(fingerprint, expected=manifest.encoder)
        return VersionFacts(manifest=manifest, digest=version.manifest.sha256)

    def records(self, adapter: str, number: int) -> tuple[Record, ...]:
        """Return the records of version `number`, oldest first; as in `state`."""
        return self.state(adapter, number).records

    def state(self, adapter: str, number: int) -> AdapterState:
        """Return what version `number` holds; nothing for 0, on which first tasks are learnt.

        Raises:
            NotFoundError: there is no such version.
            CorruptionError: a blob's bytes are not those that were published.
        """
        if number == 0:
            return AdapterState()
        return self._state_of(adapter, self.registry.adapter(adapter).manifest(number))

    def manifest_of(self, adapter: str, ref: VersionRef) -> Manifest:
        """Return the manifest of the version that `ref` names, published or about to be.

        Raises:
            CorruptionError: it is damaged.
        """
        return self.registry.adapter(adapter).objects.manifest(ref.manifest)

    def _state_of(self, adapter: str, manifest: Manifest) -> AdapterState:
        return AdapterState(
            records=self.records_of(adapter, manifest.tasks),
            shared=self.shared_of(adapter, manifest),
        )

    def shared_of(self, adapter: str, manifest: Manifest) -> SharedState | None:
        """Return the state that the tasks of a version share; errors as in `state`."""
        if manifest.shared is None:
            return None
        digest = manifest.shared.sha256
        found = self._decoded.find(digest, SharedState)
        if found is not None:
            return found
        blob = self.registry.adapter(adapter).shared_bytes(manifest)
        return None if blob is None else self._decoded.keep(digest, decode_shared(blob))

    def records_of(self, adapter: str, tasks: Sequence[TaskRef]) -> tuple[Record, ...]:
        """Return the records of some tasks, in their order; errors as in `state`."""
        found = {
            task.record.sha256: self._decoded.find(task.record.sha256, Record) for task in tasks
        }
        missing = [task for task in tasks if found[task.record.sha256] is None]
        handle = self.registry.adapter(adapter)
        for pair in handle.records(missing):
            found[pair[0].record.sha256] = self._kept([pair])[0]
        return tuple(known for task in tasks if (known := found[task.record.sha256]))

    def passing(self, adapter: str, tasks: Sequence[TaskRef]) -> Iterator[Record]:
        """Yield the records of some tasks, for whoever copies what is needed of each.

        When the next one is asked for, the tensors of the last leave memory; who asks for them all
        the same has them read again. So not all records are in memory at once, and the room of one
        serves for the next. Known records whose tensors have left before, as in an opening that
        failed, are read when the first is asked for, and ahead from there on. Errors as in `state`.
        """
        handle = self.registry.adapter(adapter)
        found = {
            task.record.sha256: record
            for task in tasks
            if (record := self._decoded.find(task.record.sha256, Record))
        }
        missing = [task for task in tasks if task.record.sha256 not in found]
        read = handle.made(missing, self._kept)
        ahead = _ReadAhead(handle, [task for task in tasks if _let_go(found, task)])
        for task in tasks:
            record = found.get(task.record.sha256) or next(read)
            if (away := _let_go(found, task)) is not None:
                away.release(partial(ahead.tensors, task))
            yield record
            if isinstance(record.tensors, BlobTensors):
                record.tensors.release(partial(_tensors_again, handle, task))

    def _kept(self, read: Sequence[tuple[TaskRef, bytes]]) -> list[Record]:
        """Return the records that were read: the decoded ones that are there, where some are."""
        try:
            decoded = decode_records([content for _, content in read])
        except CorruptionError:
            decoded = [_decoded_of(task, content) for task, content in read]
        pairs = zip(read, decoded, strict=True)
        return [self._decoded.keep(task.record.sha256, record) for (task, _), record in pairs]


class _ReadAhead:
    """Reads the tensors of known records again, from the first that is asked for on ahead.

    Args:
        handle: The adapter.
        tasks: Whose records' tensors have left memory, in the order in which they may be asked for.
    """

    # Owns: what is read ahead, guarded by `_lock`.

    def __init__(self, handle: RegisteredAdapter, tasks: Sequence[TaskRef]) -> None:
        self._handle, self._tasks = handle, tasks
        self._read: Iterator[tuple[TaskRef, bytes]] | None = None
        self._lock = threading.Lock()

    def tensors(self, task: TaskRef) -> Mapping[str, Tensor]:
        """Return the tensors of the record of `task`."""
        with self._lock:
            if self._read is None:
                self._read = self._handle.records(self._tasks[self._tasks.index(task) :])
            for read, content in self._read:
                if read == task:
                    return _decoded_of(task, content).tensors
        return _tensors_again(self._handle, task)  # somebody else had it already


def _let_go(found: Mapping[str, Record], task: TaskRef) -> BlobTensors | None:
    """Return the tensors of a known record that have left memory."""
    record = found.get(task.record.sha256)
    tensors = record.tensors if record else None
    return tensors if isinstance(tensors, BlobTensors) and not tensors.are_held else None


def _decoded_of(task: TaskRef, content: bytes) -> Record:
    try:
        return decode_record(content)
    except CorruptionError as error:
        raise of_task(task, error) from error


def _tensors_again(handle: RegisteredAdapter, task: TaskRef) -> Mapping[str, Tensor]:
    return _decoded_of(task, handle.record_bytes(task)).tensors
