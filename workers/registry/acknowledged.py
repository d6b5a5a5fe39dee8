"""Acknowledged changes: what this process was told it had made, and whether it is still there."""

from dataclasses import dataclass

from workers.registry.documents.forks import Fork
from workers.registry.documents.history import SETTLES
from workers.registry.documents.layout import Stored, refs_key
from workers.registry.documents.refs import Refs
from workers.registry.objects import AdapterObjects
from workers.store.sightings import sightings_of


class AcknowledgedChanges:
    """The changes of one adapter that were acknowledged to this process.

    Those that this process has built on are forgotten: with the last one all of them are lost.
    """

    # Owns: nothing; they are remembered with the store's sightings.

    def __init__(self, objects: AdapterObjects) -> None:
        self._objects = objects
        self._key = refs_key(objects.adapter)
        self._sightings = sightings_of(objects.store)

    @property
    def changes(self) -> list[Fork]:
        """Those that are remembered, each as it is noted where it is lost."""
        remembered = self._sightings.remembered(self._key)
        return [change for change in remembered if isinstance(change, Fork)]

    def add(self, before: Refs, after: Refs, known: list[Fork]) -> None:
        """Remember the change from `before` to `after`, which covers the `known` ones.

        What was noted as lost is remembered all the same: the note may be lost as well.
        """
        if after.history is None or after.history == before.history:
            return  # nothing that anybody would miss, and nothing that covers what they would
        noted = {fork.write_id for fork in after.forks}
        self._forget([change for change in known if change.write_id not in noted])
        self._sightings.remember(self._key, self._fork(after.history))

    def lost(self, refs: Refs) -> list[Fork]:
        """Return what is lost with the changes that are not behind `refs`, the first one first.

        What is noted there, or was settled in the history behind them, is not told again.
        """
        noted = {fork.write_id for fork in refs.forks}
        found: dict[str, Fork] = {}
        for change in self.changes:
            if change.write_id in noted or refs.history == change.history:
                continue
            parted = part(self._objects, refs.history, change.history)
            if change.write_id in parted.settled:
                self._forget([change])
                continue
            for stored in parted.lost:
                fork = self._fork(stored)
                if fork.write_id not in noted | parted.settled:
                    found[fork.write_id] = fork
        return list(found.values())

    def _forget(self, changes: list[Fork]) -> None:
        self._sightings.forget(self._key, changes)

    def _fork(self, stored: Stored) -> Fork:
        entry = self._objects.entry(stored)
        return Fork(
            write_id=entry.write_id,
            action=entry.action.value,
            history=stored,
            published=entry.published,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Parting:
    """Where two histories go different ways.

    Attributes:
        lost: The entries that only the wanted one has, the first one first; none where it is behind
            the other.
        settled: The write ids of the lost changes that the other has settled since they part.
    """

    lost: tuple[Stored, ...]
    settled: frozenset[str]


def part(objects: AdapterObjects, there: Stored | None, wanted: Stored | None) -> Parting:
    """Compare the history `there` is with the one behind the entry `wanted`."""
    lost: list[Stored] = []
    settled: set[str] = set()
    while wanted != there:
        mine = objects.entry(wanted) if wanted else None
        theirs = objects.entry(there) if there else None
        if wanted is not None and mine and (theirs is None or mine.index >= theirs.index):
            lost.append(wanted)
            wanted = mine.previous.stored if mine.previous else None
        elif theirs is not None:
            settled.add(theirs.detail.get(SETTLES, ""))
            there = theirs.previous.stored if theirs.previous else None
    return Parting(lost=tuple(reversed(lost)), settled=frozenset(settled - {""}))
