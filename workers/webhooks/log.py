"""Log of milestones: of each adapter in one order, an immutable object for those found together.

webhooks/milestones/<adapter>/<sequence of the first, twelve digits>.json

Each object says, besides, up to where the history and the queue were looked through: whoever goes
on from there tells everything once. It is created under the condition that there is none: of two
coordinators which both believe that they lead, one goes on and the other looks again.
"""

import threading
from bisect import bisect_right, insort
from collections import defaultdict
from dataclasses import asdict, dataclass

from adapters.errors import ConflictError, UnknownOutcomeError
from workers.formats.documents import Count, seal, unsealed
from workers.registry.documents.history import EntryRef
from workers.registry.documents.layout import StoredJson, stored_of
from workers.store import absent
from workers.store.base import ObjectStore
from workers.webhooks.milestone import Milestone, milestone_to_json

PREFIX = "webhooks/milestones/"
MOST = 1000
"""Milestones in one object."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Milestones that were recorded together.

    Attributes:
        adapter: Of all of them.
        first: The sequence number of the first; the others follow.
        milestones: In their order; at least one.
        queue: Those of submissions are told up to here: epoch of the lead, and number under that.
        history: The latest entry that was told; None before the first.
        forks: The write ids of the forks that there were; all of them are told.
    """

    adapter: str
    first: Count
    milestones: tuple[Milestone, ...]
    queue: tuple[Count, Count] = (0, 0)
    history: tuple[Count, StoredJson] | None = None
    forks: tuple[str, ...] = ()

    @property
    def end(self) -> int:
        """The sequence number of whatever follows."""
        return self.first + len(self.milestones)

    @property
    def history_ref(self) -> EntryRef | None:
        """The latest entry that was told."""
        if self.history is None:
            return None
        index, stored = self.history
        return EntryRef(index=index, stored=stored_of(stored))

    def to_bytes(self) -> bytes:
        """Return the sealed document."""
        milestones = [milestone_to_json(each) for each in self.milestones]
        written = {**asdict(self), "milestones": milestones}
        if not self.forks:
            del written["forks"]
        return seal(written)


def following(
    last: Batch | None, adapter: str, milestones: list[Milestone], *, forks: tuple[str, ...] = ()
) -> Batch:
    """Return the batch of `milestones` that comes after `last`.

    Args:
        last: The one before; None for the first.
        adapter: Of all of them.
        milestones: What is told, in its order.
        forks: The write ids of the forks that there are, all of which are told by then.
    """
    orders = [each.order for each in milestones if each.order]
    entries = [each.entry for each in milestones if each.entry]
    return Batch(
        adapter=adapter,
        first=last.end if last else 0,
        milestones=tuple(milestones),
        queue=max(orders, default=last.queue if last else (0, 0)),
        history=entries[-1] if entries else (last.history if last else None),
        forks=forks,
    )


class MilestoneLog:
    """Reads and extends the log of one store. Safe between threads.

    Args:
        store: The object store.
    """

    # Owns: which objects there are, and the last one of each adapter.

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._firsts: defaultdict[str, list[int]] = defaultdict(list)
        self._last: dict[str, Batch] = {}
        self.look()

    def look(self) -> None:
        """Find out anew which objects there are."""
        found: defaultdict[str, list[int]] = defaultdict(list)
        for listed in self._store.list(PREFIX):
            adapter, _, name = listed.key.removeprefix(PREFIX).partition("/")
            number = name.removesuffix(".json")
            if number.isdecimal():
                found[adapter].append(int(number))
        with self._lock:
            self._firsts = defaultdict(list, {name: sorted(found[name]) for name in found})
            self._last = {}

    @property
    def adapters(self) -> tuple[str, ...]:
        """The adapters of which there is anything."""
        with self._lock:
            return tuple(self._firsts)

    @property
    def size(self) -> int:
        """How many objects there are."""
        with self._lock:
            return sum(map(len, self._firsts.values()))

    def last(self, adapter: str) -> Batch | None:
        """Return the last milestones of an adapter; None where there are none yet.

        Raises:
            CorruptionError: they are damaged.
        """
        with self._lock:
            known, firsts = self._last.get(adapter), self._firsts.get(adapter)
        if known is not None or not firsts:
            return known
        batch = self._read(adapter, firsts[-1])
        with self._lock:
            self._last.setdefault(adapter, batch)
        return batch

    def end(self, adapter: str) -> int:
        """Return the sequence number of the next milestone of an adapter."""
        last = self.last(adapter)
        return last.end if last else 0

    def is_behind(self, adapter: str, sequence: int) -> bool:
        """Return whether there may be a milestone `sequence` of an adapter; nothing is read."""
        with self._lock:
            last = self._last.get(adapter)
        return last is None or sequence < last.end

    def batch_with(self, adapter: str, sequence: int) -> Batch | None:
        """Return the batch that has milestone `sequence` of an adapter, or the first after it.

        None where none is there that late.

        Raises:
            CorruptionError: it is damaged.
        """
        with self._lock:
            firsts, last = list(self._firsts.get(adapter, ())), self._last.get(adapter)
        if last is not None and last.first <= sequence:
            return last if sequence < last.end else None
        place = bisect_right(firsts, sequence) - 1
        for first in firsts[max(0, place) :]:
            batch = self._read(adapter, first)
            if sequence < batch.end:
                return batch
        return None

    def after(self, adapter: str, sequence: int) -> int | None:
        """Return the first sequence number above `sequence` that an object begins with, if any."""
        with self._lock:
            return next((n for n in self._firsts.get(adapter, ()) if n > sequence), None)

    def append(self, batch: Batch) -> None:
        """Make a batch durable.

        Raises:
            ConflictError: somebody else was first; what there is was found out anew.
            UnknownOutcomeError: the same, where nobody can tell.
        """
        try:
            self._store.create(_key(batch.adapter, batch.first), batch.to_bytes())
        except (ConflictError, UnknownOutcomeError):
            self.look()
            raise
        with self._lock:
            insort(self._firsts[batch.adapter], batch.first)
            self._last[batch.adapter] = batch

    def forget(self, before: float) -> int:
        """Remove what was written before that time, but the last of each adapter; return how many.

        Args:
            before: Seconds since the epoch, by the store's clock.
        """
        with self._lock:
            kept = {_key(name, firsts[-1]) for name, firsts in self._firsts.items() if firsts}
        old = [
            listed.key
            for listed in self._store.list(PREFIX)
            if listed.modified < before and listed.key not in kept
        ]
        for key in old:
            self._store.delete(key)
        if old:
            self.look()
        return len(old)

    def _read(self, adapter: str, first: int) -> Batch:
        key = _key(adapter, first)
        data = self._store.get_existing(key, because=absent.LISTED).data
        return unsealed(Batch, data, f"{key!r} in {self._store.url}")


def _key(adapter: str, first: int) -> str:
    return f"{PREFIX}{adapter}/{first:012d}.json"
