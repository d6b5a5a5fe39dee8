"""Leadership term: the scheduler's short loop around the queue while one coordinator leads.

The queue decides, the crew does the work, the write-behind remembers. Requests come in through the
store, so that nobody needs to reach this process; and what it knows is in the store, so that nobody
needs it to stay alive.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from adapters.errors import UnavailableError, UnknownOutcomeError
from workers.concurrency.supervision import Trouble
from workers.coordination.kept_queue import KeptQueue
from workers.coordination.recovery import recovered
from workers.coordination.requests import Requests
from workers.coordination.running_jobs import RunningJobs
from workers.coordination.settings import Setup
from workers.coordination.write_behind import WriteBehind
from workers.housekeeping.retention import PeriodicRetention
from workers.queue import inbox
from workers.queue.leadership import Leadership, renew_leadership
from workers.queue.ledger import Ledger
from workers.webhooks.service import QueueMilestones, WebhookService

logger = logging.getLogger("nacre.coordinator")


class LeadershipTerm:
    """Coordinates until it is told to stop, or another coordinator has taken over.

    Attributes:
        trouble: What keeps it from the store now; None where nothing does.
    """

    # Owns: the queue, the write-behind and the running jobs. All of it belongs to one event loop.

    def __init__(
        self,
        setup: Setup,
        lead: Leadership,
        ledger: Ledger,
        *,
        missing: Mapping[str, float],
    ) -> None:
        self._setup = setup
        self._store = setup.store
        self._threads = setup.threads
        self._lead = lead
        self._changed = asyncio.Event()
        self._write_behind = notes = WriteBehind(
            setup.store, ledger, setup.clock, threads=setup.threads
        )
        self._queue = KeptQueue(setup, lead, notes, stop=self._stop, changed=self._changed)
        self._requests = Requests(setup, self._queue, notes, missing=missing)
        self._jobs = RunningJobs(setup, lead, self._queue, notes, changed=self._changed)
        self._polled_at = 0.0
        self._retention = PeriodicRetention(
            setup.store,
            setup.retention,
            every_s=setup.intervals.retention_s,
            threads=setup.threads,
        )
        self._webhooks = self._webhook_service()
        self.trouble: Trouble | None = None

    @classmethod
    async def begun(cls, setup: Setup, lead: Leadership) -> "LeadershipTerm":
        """Return a term that knows every submission in the store, and has written that down."""
        store, threads = setup.store, setup.threads
        ledger = await threads.call(Ledger, store, lead, threads=threads)
        kept = {ticket.submission_id: ticket for ticket in ledger.tickets}
        announced = await threads.call(inbox.announced, store, threads=threads)
        found = await threads.call(
            recovered, store, kept.values(), announced=announced, threads=threads
        )
        term = cls(setup, lead, ledger, missing=found.missing)
        for ticket in found.tickets:
            term._queue.find(ticket, known=kept.get(ticket.submission_id))
        await term._save()
        return term

    @property
    def lead(self) -> Leadership:
        """The lead as it was renewed last."""
        return self._lead

    async def run(self, stopping: asyncio.Event) -> None:
        """Coordinate until `stopping` is set.

        Raises:
            ConflictError: another coordinator has taken over.
            Exception: something went wrong that nobody thought of; the next term finds everything
                in the store.
        """
        webhooks = asyncio.create_task(self._webhooks.run()) if self._webhooks else None
        try:
            while not stopping.is_set():
                if self._jobs.failed is not None:
                    raise self._jobs.failed
                self._queue.metrics.measure(self._queue.machine, now=self._setup.clock())
                try:
                    await self._step()
                    self.trouble = None
                except (UnavailableError, UnknownOutcomeError) as error:
                    before = self.trouble
                    self.trouble = Trouble.after(before, error, now=self._setup.clock())
                    if before is None or before.reason != error.message:
                        logger.warning("waiting for the store: %s", error.message)
                    self._changed.clear()
                await self._rest(stopping)
        finally:
            if webhooks is not None:
                webhooks.cancel()
                await asyncio.wait([webhooks])
            await self._jobs.stop()
            await self._retention.stop()
            self._queue.metrics.end()
        await self._write_behind.save()

    async def _step(self) -> None:
        now = self._setup.clock()
        await self._renew(now)
        # A clock that was put right goes back.
        if not 0 <= now - self._polled_at < self._setup.intervals.poll_s:
            self._polled_at = now
            await self._requests.read()
            await self._requests.look_for_missing(now)
            await self._jobs.look_at_heads()
        if self._write_behind.requests:
            # They are removed below: what is paused must be durable by then, and nobody else lead.
            await self._renew(now, at_once=True)
        if now < self._lead.expires:
            self._jobs.begin_what_is_due(now)
        await self._save()
        await self._write_behind.report(every_s=self._setup.intervals.report_s)
        self._retention.begin_if_due(now)

    def _stop(self, name: str) -> None:
        """End the work on a submission of which the queue wants to hear no more."""
        self._jobs.interrupt(name, None)

    async def _save(self) -> None:
        for name in await self._write_behind.save():
            self._queue.machine.forget(name)
        if self._webhooks is not None and self._write_behind.milestones():
            self._webhooks.wake()

    def _webhook_service(self) -> WebhookService | None:
        setup = self._setup
        if setup.webhooks is None:
            return None
        return WebhookService(
            setup.store,
            setup.webhooks,
            QueueMilestones(
                pending=self._write_behind.milestones, recorded=self._write_behind.recorded
            ),
            clock=setup.clock,
            threads=setup.threads,
            epoch=self._lead.epoch,
            leads=lambda: setup.clock() < self._lead.expires,
        )

    async def _renew(self, now: float, *, at_once: bool = False) -> None:
        lead_s, paused = self._setup.intervals.lead_s, tuple(sorted(self._queue.machine.paused))
        left_s = self._lead.expires - now
        # Too much is left where the clock was ahead when the lead was renewed.
        due = not lead_s * 2 / 3 <= left_s <= lead_s * 2
        if due or at_once or paused != self._lead.paused:
            wanted = replace(self._lead, paused=paused)
            self._lead = await self._threads.call(
                renew_leadership, self._store, wanted, ttl_s=lead_s, now=now
            )

    async def _rest(self, stopping: asyncio.Event) -> None:
        """Wait until something has changed, or it is time to look again."""
        now = self._setup.clock()
        next_look, next_attempt = (
            now + self._setup.intervals.poll_s,
            self._queue.machine.wake_at(now=now),
        )
        wake_at = next_look if next_attempt is None else min(next_look, next_attempt)
        waits = [asyncio.create_task(event.wait()) for event in (self._changed, stopping)]
        await asyncio.wait(
            waits, timeout=max(0.0, wake_at - now), return_when=asyncio.FIRST_COMPLETED
        )
        for wait in waits:
            wait.cancel()
        self._changed.clear()
