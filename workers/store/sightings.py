"""Sightings: what a process has seen of the documents that are changed by condition.

Such a document carries a serial, which grows by one with every change. A store may answer with one
from before: out of a cache, from a node that was away, or because a write that failed was kept by
half of its nodes. Who has seen a serial never goes behind it.
"""

import logging
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from workers.store.base import Object, ObjectStore

logger = logging.getLogger("nacre.store")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """A document as it was seen.

    Attributes:
        serial: Of the document.
        found: Its bytes, and the etag that replacing it expects.
    """

    serial: int
    found: Object


class Sightings:
    """The newest of every document that one process has seen in one store."""

    # Owns: everything, guarded by `_lock`.

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[str, Sight] = {}
        self._changes: dict[str, list[object]] = {}
        self._went_back: Counter[str] = Counter()
        self._unsettled: set[str] = set()

    def note(self, key: str, sight: Sight) -> Sight:
        """Note what the store answered, and return the newest that was seen."""
        with self._lock:
            newest = self._newest.get(key)
            if newest is None or not _is_behind(sight, newest):
                self._newest[key] = newest = sight
                return newest
            self._went_back[key] += 1
            count = self._went_back[key]
            if count & (count - 1) == 0:  # a cache that is old for hours is no reason for ever more
                self._unsettled.add(key)
            first = count == 1
        if first:
            logger.warning(
                "the store answered with %r from before: change %d, after change %d had been seen; "
                "this process stays with the newer one",
                key,
                sight.serial,
                newest.serial,
            )
        return newest

    def newest(self, key: str) -> Sight | None:
        """Return the newest that was seen; None where nothing was."""
        with self._lock:
            return self._newest.get(key)

    def settle(self, key: str, sight: Sight) -> None:
        """Note a change that the store has acknowledged to this process: nothing is newer."""
        with self._lock:
            newest = self._newest.get(key)
            if newest is None or sight.serial >= newest.serial:
                self._newest[key] = sight
            self._unsettled.discard(key)

    def is_unsettled(self, key: str) -> bool:
        """Return whether the document went back, and nobody knows yet which one will stay.

        What was seen and has vanished may be a write that failed, or an acknowledged one that the
        store has lost. A change above all that were seen settles it.
        """
        with self._lock:
            return key in self._unsettled

    def remember(self, key: str, change: object) -> None:
        """Remember an acknowledged change, until it is known to be in the document for good."""
        with self._lock:
            self._changes.setdefault(key, []).append(change)

    def remembered(self, key: str) -> list[object]:
        """Return the acknowledged changes that are remembered."""
        with self._lock:
            return list(self._changes.get(key, ()))

    def forget(self, key: str, changes: Collection[object]) -> None:
        """Forget `changes`."""
        with self._lock:
            kept = [change for change in self._changes.get(key, ()) if change not in changes]
            self._changes[key] = kept

    @property
    def went_back(self) -> Mapping[str, int]:
        """How often the store answered with a document from before, by key."""
        with self._lock:
            return dict(self._went_back)


def _is_behind(sight: Sight, newest: Sight) -> bool:
    if sight.found.data == newest.found.data:
        return False  # also where its etag is another one: it was copied
    # Documents from before there were serials have 0 and follow each other as they are read.
    return sight.serial <= newest.serial and newest.serial > 0


_OF_STORES: WeakKeyDictionary[ObjectStore, Sightings] = WeakKeyDictionary()
_LOCK = threading.Lock()


def sightings_of(store: ObjectStore) -> Sightings:
    """Return what this process has seen in `store`: one for each opened store, for its lifetime."""
    with _LOCK:
        return _OF_STORES.setdefault(store, Sightings())
