"""Acknowledged changes: what this process was told it had made, and whether it is still there."""

from dataclasses import dataclass

from workers.registry.forks import Fork
from workers.registry.history import walk
from workers.registry.layout import Stored, refs_key
from workers.registry.objects import AdapterObjects
from workers.registry.refs import Refs
from workers.store.sightings import sightings_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Acknowledged:
    """A change that the store has acknowledged.

    Attributes:
        serial: Of the refs that it made.
        fork: What is noted where it is lost.
    """

    serial: int
    fork: Fork


class AcknowledgedChanges:
    """The changes of one adapter that were acknowledged to this process.

    Those that others have built on are forgotten: these look after them.
    """

    # Owns: nothing; they are remembered with the store's sightings.

    def __init__(self, objects: AdapterObjects) -> None:
        self._objects = objects
        self._key = refs_key(objects.adapter)
        self._sightings = sightings_of(objects.store)

    @property
    def changes(self) -> list[Acknowledged]:
        """Those that are remembered."""
        remembered = self._sightings.remembered(self._key)
        return [change for change in remembered if isinstance(change, Acknowledged)]

    def add(self, before: Refs, after: Refs, known: list[Acknowledged]) -> None:
        """Remember the change from `before` to `after`, which covers the `known` ones."""
        self._sightings.forget(self._key, known)
        if after.history is None or after.history == before.history:
            return  # nothing that anybody would miss
        entry = self._objects.entry(after.history)
        fork = Fork(
            write_id=after.write_id,
            action=entry.action.value,
            history=after.history,
            published=entry.published,
        )
        change = Acknowledged(serial=after.serial, fork=fork)
        self._sightings.remember(self._key, change)

    def lost(self, refs: Refs) -> list[Acknowledged]:
        """Return the changes that are not behind `refs`, and that nobody has noted there."""
        noted = {fork.write_id for fork in refs.forks}
        return [
            change
            for change in self.changes
            if change.fork.write_id not in noted and not self._is_behind(refs, change)
        ]

    def _is_behind(self, refs: Refs, change: Acknowledged) -> bool:
        wanted = change.fork.history
        if refs.history == wanted:
            return True
        return refs.serial > change.serial and is_in_history(self._objects, refs, wanted)


def is_in_history(objects: AdapterObjects, refs: Refs, wanted: Stored) -> bool:
    """Return whether the entry `wanted` is one of those behind `refs`."""
    mine = objects.entry(wanted)
    for entry in walk(refs.history, objects.entry):
        if entry.index <= mine.index:
            return entry == mine
    return False
