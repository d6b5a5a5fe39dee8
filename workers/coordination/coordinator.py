"""The coordinator: it takes the lead when nobody else has it, and coordinates while it does.

Of all systems on one store one coordinates; the others say so, wait, and take over when its lead
has run out. A coordinator that is started anew finds every submission in the store and goes on.
"""

import asyncio
import logging
from dataclasses import dataclass

from adapters.errors import ConflictError
from workers.concurrency.supervision import Backoff, Supervisor, Trouble
from workers.coordination.settings import Setup
from workers.coordination.term import LeadershipTerm
from workers.metrics.families import COORDINATOR_TROUBLE, EPOCH, LEAD
from workers.queue.leadership import Leadership, release_leadership, take_leadership

STARTING = "the coordinator is starting"
logger = logging.getLogger("nacre.coordinator")


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """Why a coordinator does not coordinate now.

    Attributes:
        reason: A sentence.
        for_s: Since when, in seconds; None where it is no trouble: another system coordinates.
        tries: How often it was tried in vain.
    """

    reason: str
    for_s: float | None = None
    tries: int = 0

    @classmethod
    def because(cls, trouble: Trouble, *, now: float, doing: str = "") -> "Waiting":
        """Return that `trouble` keeps it from what it was `doing`."""
        reason = f"{doing}: {trouble.reason}" if doing else trouble.reason
        return cls(reason=reason, for_s=max(0.0, now - trouble.since), tries=trouble.times)

    def __str__(self) -> str:
        return self.reason if self.for_s is None else f"{self.reason} (for {self.for_s:.0f} s)"


class Coordinator:
    """Runs until it is stopped.

    Args:
        setup: What it works with.
        owner: Names this system: the same for a coordinator that is started again, and for no
            other system.
        host: Where it runs, for people.
    """

    # Owns: the lead and its term, while it has it; the epoch in which it had it last.

    def __init__(self, setup: Setup, *, owner: str, host: str = "") -> None:
        self._setup = setup
        self._owner = owner
        self._host = host
        self._stopping = asyncio.Event()
        self._waits_for: str | None = STARTING
        self._term: LeadershipTerm | None = None
        self._had: int | None = None
        step_back_s = setup.intervals.step_back_s
        self._supervisor = Supervisor(
            "the coordinator",
            self._coordinate,
            clock=setup.clock,
            backoff=Backoff(first_s=step_back_s, longest_s=6 * step_back_s),
            logger=logger,
        )
        setup.meter.before_reading("the coordinator", self._measure)

    @property
    def waiting(self) -> Waiting | None:
        """Why this one does not coordinate now; None while it does."""
        term = self._term
        trouble = self._supervisor.trouble or (term.trouble if term else None)
        if trouble is not None:
            return Waiting.because(trouble, now=self._setup.clock())
        return None if self._waits_for is None else Waiting(reason=self._waits_for)

    @property
    def waits_for(self) -> str | None:
        """The same as a sentence, with since when."""
        waiting = self.waiting
        return None if waiting is None else str(waiting)

    async def run(self) -> None:
        """Coordinate, or wait to, until `stop` is called, whatever goes wrong meanwhile."""
        await self._supervisor.run()

    async def _coordinate(self) -> None:
        while not self._stopping.is_set():
            lead = await self._take_lead()
            if lead is not None:
                await self._lead(lead)

    def _measure(self) -> None:
        waiting, term, meter = self.waiting, self._term, self._setup.meter
        leads = waiting is None and term is not None
        meter.set(LEAD, float(leads))
        meter.set(EPOCH, float(term.lead.epoch) if leads and term else 0.0)
        meter.set(COORDINATOR_TROUBLE, (waiting.for_s or 0.0) if waiting else 0.0)

    def stop(self) -> None:
        """Let `run` return; work under way is given up, and found again at the next start."""
        self._supervisor.stop()
        self._stopping.set()

    async def _take_lead(self) -> Leadership | None:
        """Return the lead; None where another system has it."""
        intervals = self._setup.intervals
        try:
            return await self._setup.threads.call(
                take_leadership,
                self._setup.store,
                owner=self._owner,
                host=self._host,
                ttl_s=intervals.lead_s,
                now=self._setup.clock(),
                configuration=self._setup.configuration,
                had=self._had,
            )
        except ConflictError as error:
            self._say(error.message)
            await self._pause(intervals.poll_s)
            return None
        except Exception:
            self._had = None  # it may have taken it without knowing
            raise

    async def _lead(self, lead: Leadership) -> None:
        self._had = lead.epoch
        term = await LeadershipTerm.begun(self._setup, lead)
        logger.info("coordinating, epoch %d", lead.epoch)
        self._waits_for = None
        self._supervisor.recovered()
        self._term = term
        try:
            await term.run(self._stopping)
        finally:
            self._term = None
        await self._setup.threads.call(release_leadership, self._setup.store, term.lead)

    def _say(self, reason: str) -> None:
        """Note that somebody else coordinates, which is no trouble."""
        self._supervisor.recovered()
        if reason != self._waits_for:
            logger.warning("%s", reason)
        self._waits_for = reason

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), timeout=seconds)
        except TimeoutError:
            return
