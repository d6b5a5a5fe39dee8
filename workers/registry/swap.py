"""Compare-and-swap of an adapter's refs: the short retry loop around the write that takes effect.

A change is decided on the refs as they are, written, and decided again on newer refs when the
race was lost.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic

from adapters.errors import ConflictError, InputError
from workers.registry.acknowledged import AcknowledgedChanges
from workers.registry.audience import Audience, Nobody, moved_production
from workers.registry.documents.change import Change, Decide, Result, Settled, settling
from workers.registry.documents.forks import Fork
from workers.registry.documents.layout import refs_key
from workers.registry.documents.refs import Refs
from workers.registry.objects import AdapterObjects
from workers.registry.replacement import Replacement
from workers.store.patience import AT_ONCE
from workers.store.serial_document import Held
from workers.store.sightings import sightings_of


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
        self._replacement = Replacement(objects, read_backs=retry.read_backs, rng=rng)
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
            return _Step(change=settling(held, lost))
        is_certain = held.content.write_id == confirmed or self._objects.store.patience == AT_ONCE
        try:
            decision = decide(held.content)
        except InputError:
            if is_certain:
                raise
            return _Step(change=settling(held))
        if isinstance(decision, Settled):
            return decision if is_certain else _Step(change=settling(held))
        return _Step(change=decision, wanted=decision)

    def _made(self, held: Held[Refs], change: Change[Any], known: list[Fork]) -> Refs | None:
        """Make a change and return the new refs; None when another writer was first.

        The audience is told before and after where `production` moves.
        """
        after = self._replacement.finished(held, change)
        served = moved_production(held.content, after)
        if served is not None:
            self._audience.prepare(after.adapter, served)
        if not self._replacement.made(held, after):
            return None
        # What was known when this was decided is in the history behind it, or noted as lost.
        self._acknowledged.add(held.content, after, known)
        if served is not None:
            self._audience.follow(after.adapter, after.serial)
        return after
