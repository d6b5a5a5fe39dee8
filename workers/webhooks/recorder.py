"""Recorder of milestones: finds what has happened and extends the log, once for each."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import chain, islice

from adapters.errors import ConflictError, CorruptionError, InputError, MissingError, NotFoundError
from workers.registry import Registry
from workers.registry.documents.layout import REFS
from workers.store.base import ObjectStore
from workers.store.changed import ChangedObjects
from workers.webhooks.history import forks_since, milestones_since
from workers.webhooks.log import MOST, MilestoneLog, following
from workers.webhooks.milestone import Milestone

logger = logging.getLogger("nacre.webhooks")


class Recorder:
    """Records the milestones of one store, as long as the caller leads.

    Args:
        store: The object store.
        log: Is extended.
    """

    # Owns: which adapters have to be looked at again, and what was said of each.

    def __init__(self, store: ObjectStore, log: MilestoneLog) -> None:
        self._log = log
        self._registry = Registry(store)
        self._refs = ChangedObjects(store, REFS)
        self._due: set[str] = set()
        self._said: dict[str, str] = {}

    @property
    def is_behind(self) -> bool:
        """Whether of some adapter not everything could be recorded."""
        return bool(self._due or self._said)

    def record(self, pending: Iterable[Milestone], *, now: float) -> None:
        """Record what the histories have gained, and those of `pending` that are not recorded.

        What concerns one adapter alone, such as damage, keeps no other one from being told.

        Args:
            pending: Milestones of submissions, as they stand on the queue's pages.
            now: Seconds since the epoch.

        Raises:
            UnavailableError: the store cannot be reached.
            UnknownOutcomeError: nobody can tell what is recorded.
        """
        # Moves first: whatever had caused one is among what is told of the queue afterwards.
        looked = {key.removeprefix(REFS).removesuffix(".json") for key in self._refs.look(now=now)}
        of_queue: defaultdict[str, list[Milestone]] = defaultdict(list)
        for milestone in sorted(pending, key=lambda each: each.order or (0, 0)):
            of_queue[milestone.adapter].append(milestone)
        self._due |= looked | of_queue.keys() | self._said.keys()
        for adapter in sorted(self._due):
            self._record(adapter, of_queue[adapter], now=now)
            self._due.discard(adapter)

    def _record(self, adapter: str, pending: Sequence[Milestone], *, now: float) -> None:
        try:
            self._extend(adapter, pending, now=now)
            self._said.pop(adapter, None)
        except (ConflictError, CorruptionError, InputError, MissingError) as error:
            # A conflict: another coordinator was first, and what there is was looked up anew.
            if self._said.get(adapter) != error.message:
                logger.warning("webhooks do not hear of adapter %r: %s", adapter, error.message)
            self._said[adapter] = error.message

    def _extend(self, adapter: str, pending: Sequence[Milestone], *, now: float) -> None:
        last, handle = self._log.last(adapter), self._registry.adapter(adapter)
        told = last.queue if last else (0, 0)
        fresh = [each for each in pending if each.order and each.order > told]
        forked: list[Milestone] = []
        forks: tuple[str, ...] = ()
        try:
            moves = milestones_since(handle, last.history_ref if last else None)
            forked, forks = forks_since(handle, last.forks if last else (), now=now)
        except NotFoundError:  # nothing of it has been published yet
            moves = []
        # Forks first, so that the batch which says that they are told has them all.
        ordered = chain(forked, in_one_order(fresh, moves))
        while found := list(islice(ordered, MOST)):
            last = following(last, adapter, found, forks=forks)
            self._log.append(last)


def in_one_order(of_queue: Sequence[Milestone], moves: Sequence[Milestone]) -> Iterator[Milestone]:
    """Yield milestones of one adapter from both of their sources, by time.

    Those of one source stay in their order whatever the clocks said, and a submission is accepted
    before it is published.
    """
    published: dict[str, float] = {}
    for move in moves:
        if move.submission:
            published.setdefault(move.submission, move.at)
    times, latest = [], float("inf")
    for each in reversed(of_queue):
        bound = published.get(each.submission, latest) if each.round == 1 else latest
        latest = min(latest, each.at, bound)
        times.append(latest)
    timed = zip(reversed(times), range(len(times)), of_queue, strict=True)
    later = ((move.at, len(times), move) for move in moves)
    return (milestone for *_, milestone in merge(timed, later, key=lambda entry: entry[:2]))
