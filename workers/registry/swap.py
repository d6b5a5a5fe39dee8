"""Compare-and-swap of an adapter's refs: the short retry loop around the write that takes effect.

A change is decided on the refs as they are, written, and decided again on newer refs when the
race was lost. When an answer is lost, the write is recognised by its write id: in the refs, or in
the history behind them. Nothing is ever cleaned up here: what was written and never referenced
is harmless, and what is in doubt may be referenced after all.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from adapters.errors import ConflictError, InputError, UnavailableError, UnknownOutcomeError
from workers.formats.documents import next_count
from workers.registry.acknowledged import AcknowledgedChanges, part
from workers.registry.audience import Audience, Nobody, moved_production
from workers.registry.documents.forks import Fork
from workers.registry.documents.history import Action, Author, Entry, links
from workers.registry.documents.layout import Kind, refs_key
from workers.registry.documents.manifest import VersionRef
from workers.registry.documents.refs import Refs
from workers.registry.objects import AdapterObjects
from workers.store.patience import AT_ONCE
from workers.store.serial_document import Held
from workers.store.sightings import sightings_of

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True, slots=True)
class RaceRetry:
    """How often a lost race is run again, and how long is waited in between.

    Attributes:
        attempts: Races before ConflictError is raised.
        first_s: Longest wait after the first lost race, in seconds; it doubles with every one.
        longest_s: Longest wait of all, in seconds.
        read_backs: How often a write in doubt is repeated before UnknownOutcomeError is raised.
    """

    attempts: int = 40
    first_s: float = 0.005
    longest_s: float = 1.0
    read_backs: int = 4

    def wait_s(self, attempt: int, rng: random.Random) -> float:
        """Return how long to wait after lost race number `attempt` (from 0), with full jitter."""
        return rng.uniform(0.0, min(self.longest_s, self.first_s * 2.0 ** min(attempt, 30)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """What the history will say of a change."""

    action: Action
    author: Author
    published: VersionRef | None = None
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change(Generic[Result]):
    """New refs, what the history says of them, and what the caller gets.

    `move` is None for changes that are no move of an alias: fences and areas.
    """

    refs: Refs
    move: Move | None
    result: Result


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled(Generic[Result]):
    """Nothing is to be written: the state is as wanted already."""

    result: Result


Decide = Callable[[Refs], Change[Result] | Settled[Result]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Step(Generic[Result]):
    """What is written next.

    Attributes:
        change: The new refs.
        wanted: The change that was decided on; None for one that comes before any decision.
    """

    change: Change[Any]
    wanted: Change[Result] | None = None


class RefsWriter:
    """Replaces the refs of one adapter.

    Args:
        objects: The adapter's objects.
        retry: How lost races are run again.
        rng: Gives write ids and jitter.
        sleep: Waits for some seconds.
        audience: Is told before and after `production` moves.
    """

    def __init__(
        self,
        objects: AdapterObjects,
        *,
        retry: RaceRetry,
        rng: random.Random,
        sleep: Callable[[float], None] = time.sleep,
        audience: Audience | None = None,
    ) -> None:
        self._audience = audience or Nobody()
        self._objects = objects
        self._acknowledged = AcknowledgedChanges(objects)
        self._retry = retry
        self._rng = rng
        self._sleep = sleep

    def change(self, decide: Decide[Result]) -> Result:
        """Decide on the current refs and replace them, until it is done or refused.

        Raises:
            ConflictError: Every race was lost; nothing was changed.
            UnknownOutcomeError: The answer was lost and the store cannot be asked.
        """
        refused: set[str] = set()
        confirmed = ""
        for attempt in range(self._retry.attempts):
            known = self._acknowledged.changes
            held = self._objects.refs_to_change(frozenset(refused))
            step = self._decided(held, decide, confirmed)
            if isinstance(step, Settled):
                return step.result
            made = self._made(held, step.change, known)
            if made is None:
                refused.add(held.etag)
                self._sleep(self._retry.wait_s(attempt, self._rng))
            elif step.wanted is None:
                confirmed = made.write_id
            else:
                return step.wanted.result
        raise ConflictError(
            f"adapter {self._objects.adapter!r} is too busy: lost {self._retry.attempts} races in "
            "a row; nothing was changed, try again later",
            adapter=self._objects.adapter,
        )

    @property
    def is_unsettled(self) -> bool:
        """Whether the refs went back, or a change that this process has made may be lost."""
        return self._is_unsettled(self._objects.refs())

    def settled(self) -> Refs:
        """Return the refs, settled first where that is needed; one read where it is not."""
        refs = self._objects.refs()
        return self.settle() if self._is_unsettled(refs) else refs

    def _is_unsettled(self, refs: Refs) -> bool:
        return self._went_back or bool(self._acknowledged.lost(refs))

    @property
    def _went_back(self) -> bool:
        key = refs_key(self._objects.adapter)
        return sightings_of(self._objects.store).is_unsettled(key)

    def settle(self) -> Refs:
        """Change nothing but the serial, so that the refs are acknowledged; return them.

        What is acknowledged is known to a majority of a store's nodes: nobody who reads it reads
        again what was there before.
        """

        def decide(refs: Refs) -> Settled[Refs]:
            return Settled(result=refs)  # which is said of acknowledged refs alone

        return self.change(decide)

    def _decided(
        self, held: Held[Refs], decide: Decide[Result], confirmed: str
    ) -> _Step[Result] | Settled[Result]:
        """Return what follows from refs, which the store has `confirmed` where it wrote them last.

        That nothing is to be done, or never can be, is only said of refs that the store has
        acknowledged: others may be from before, or of a write that failed and vanishes again.
        """
        lost = self._acknowledged.lost(held.content)
        if lost or self._went_back:
            # Settled before anything is decided, what is lost noted. Where these refs are only
            # from before, not what there is, the store refuses it: nothing has been lost.
            return _Step(change=_settling(held, lost))
        is_certain = held.content.write_id == confirmed or self._objects.store.patience == AT_ONCE
        try:
            decision = decide(held.content)
        except InputError:
            if is_certain:
                raise
            return _Step(change=_settling(held))
        if isinstance(decision, Settled):
            return decision if is_certain else _Step(change=_settling(held))
        return _Step(change=decision, wanted=decision)

    def _finished(self, held: Held[Refs], change: Change[Any]) -> Refs:
        """Return the new refs with a write id, after storing the history entry they name."""
        before, write_id = held.content, f"{self._rng.getrandbits(128):032x}"
        serial = next_count(held.above, "the serial of an adapter's refs")
        refs = replace(change.refs, write_id=write_id, serial=serial, before=held.digest)
        if change.move is None:
            return refs
        previous, jump = links(before.history, self._objects.entry)
        entry = Entry(
            index=next_count(previous.index, "the index of a history") if previous else 0,
            action=change.move.action,
            author=change.move.author,
            moves=_moves(before, refs),
            published=change.move.published,
            next_version=refs.next_version,
            detail=change.move.detail,
            write_id=write_id,
            previous=previous,
            jump=jump,
        )
        stored = self._objects.write(Kind.HISTORY, entry.to_bytes(), area=before.area)
        return replace(refs, history=stored)

    def _made(self, held: Held[Refs], change: Change[Any], known: list[Fork]) -> Refs | None:
        """Make a change and return the new refs; None when another writer was first.

        The audience is told before and after where `production` moves.
        """
        after = self._finished(held, change)
        served = moved_production(held.content, after)
        if served is not None:
            self._audience.prepare(after.adapter, served)
        if not self._replaced(held, after):
            return None
        # What was known when this was decided is in the history behind it, or noted as lost.
        self._acknowledged.add(held.content, after, known)
        if served is not None:
            self._audience.follow(after.adapter, after.serial)
        return after

    def _replaced(self, held: Held[Refs], after: Refs) -> bool:
        """Replace the refs by `after`; False when another writer was first.

        A write whose answer was lost is written again, over the old refs or over itself, until it
        is acknowledged: what is merely seen need not stay.
        """
        data, etag = after.to_bytes(), held.etag
        refused: set[str] = set()
        in_doubt = False
        for _ in range(self._retry.read_backs):
            try:
                written = self._objects.store.replace(refs_key(after.adapter), data, etag)
            except ConflictError:
                if not in_doubt:
                    return False
                refused.add(etag)
            except UnknownOutcomeError:
                in_doubt = True
            except UnavailableError as error:
                raise (_unknown(after) if in_doubt else error) from error
            else:
                self._objects.refs_document.acknowledged(data, written, after)
                return True
            found = self._read_back(after, refused)
            if found.content.write_id in (after.write_id, held.content.write_id):
                etag = found.etag
            elif after.history in (None, held.content.history):
                return False  # a fence or an area: deciding again on newer refs is right as well
            elif self._is_current(found, after):
                return self._is_in_history(after, found.content)
            else:
                refused.add(found.etag)
        raise _unknown(after)

    def _is_current(self, found: Held[Refs], after: Refs) -> bool:
        """Say whether the store acknowledges a change of what was `found`.

        Others may be from before `after`, or of a write after it that vanishes and takes it along.
        """
        if self._objects.store.patience == AT_ONCE:
            return True
        settled = self._finished(found, _settling(found))
        data = settled.to_bytes()
        try:
            etag = self._objects.store.replace(refs_key(after.adapter), data, found.etag)
        except ConflictError:
            return False
        except (UnavailableError, UnknownOutcomeError) as error:
            raise _unknown(after) from error
        self._objects.refs_document.acknowledged(data, etag, settled)
        return True

    def _read_back(self, after: Refs, refused: set[str]) -> Held[Refs]:
        try:
            return self._objects.refs_to_change(frozenset(refused))
        except UnavailableError as error:
            raise _unknown(after) from error

    def _is_in_history(self, after: Refs, refs: Refs) -> bool:
        """Say whether `after` took effect, although other changes have followed it."""
        try:
            return not part(self._objects, refs.history, after.history).lost
        except UnavailableError as error:
            raise _unknown(after) from error


def _settling(held: Held[Refs], lost: Sequence[Fork] = ()) -> Change[None]:
    """Return the change of nothing but the serial, and of what is noted as lost."""
    forks = (*held.content.forks, *lost)
    return Change(refs=replace(held.content, forks=forks), move=None, result=None)


def _moves(before: Refs, after: Refs) -> dict[str, tuple[int | None, int | None]]:
    moves = {}
    for alias in sorted({*before.aliases, *after.aliases}):
        old, new = before.find(alias), after.find(alias)
        if old != new:
            moves[alias] = (old.number if old else None, new.number if new else None)
    return moves


def _unknown(after: Refs) -> UnknownOutcomeError:
    return UnknownOutcomeError(
        f"a change of adapter {after.adapter!r} was sent and its answer was lost: it may have "
        f"taken effect; look in the history for write id {after.write_id}",
        adapter=after.adapter,
        write_id=after.write_id,
    )
