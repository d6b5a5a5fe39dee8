"""Leadership term: the scheduler's short loop around the queue while one coordinator leads.

The queue decides, the crew does the work, the write-behind remembers. Requests come in through the
store, so that nobody needs to reach this process; and what it knows is in the store, so that nobody
needs it to stay alive.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from adapters.errors import (
    CorruptionError,
    InputError,
    MissingError,
    UnavailableError,
    UnknownOutcomeError,
    WorkerLostError,
)
from workers.concurrency.supervision import Trouble, is_being_cancelled
from workers.coordination.aliases import Heads
from workers.coordination.jobs import Job, broken
from workers.coordination.recovery import found_late, recovered
from workers.coordination.settings import Setup
from workers.coordination.write_behind import WriteBehind
from workers.housekeeping.retention import PeriodicRetention
from workers.learning.crew import Begun
from workers.learning.handover import remove_work
from workers.queue import inbox
from workers.queue.events import Accepted, Broke, Decision, Encode, Event, Learn, Moved, Stop
from workers.queue.journal import entry_of
from workers.queue.leadership import Leadership, renew_leadership
from workers.queue.ledger import Ledger, read_outcome
from workers.queue.machine import Queue
from workers.queue.ticket import CLEARED, Cause, Stage, Ticket
from workers.tasks.submission import existing_submission

REQUESTS_AT_ONCE = 1000
INTERRUPTIBLE = frozenset({Stage.TRAINING, Stage.COMPRESSING})
logger = logging.getLogger("nacre.coordinator")


class LeadershipTerm:
    """Coordinates until it is told to stop, or another coordinator has taken over.

    Attributes:
        trouble: What keeps it from the store now; None where nothing does.
    """

    # Owns: the queue, the write-behind and the running jobs. All of it belongs to one event loop.

    def __init__(self, setup: Setup, lead: Leadership, ledger: Ledger) -> None:
        self._setup = setup
        self._store = setup.store
        self._threads = setup.threads
        self._lead = lead
        self._write_behind = WriteBehind(setup.store, ledger, setup.clock, threads=setup.threads)
        self._queue = Queue(setup.limits)
        self._queue.paused = frozenset(lead.paused)
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._interruptions: dict[str, Event | None] = {}
        self._begun: dict[str, Begun] = {}
        self._reached: dict[str, tuple[Stage, int]] = {}
        self._heads = Heads(setup.store)
        self._polled_at = 0.0
        self._missing: Mapping[str, float] = {}
        self._asked_again_at = 0.0
        self._retention = PeriodicRetention(
            setup.store,
            setup.retention,
            every_s=setup.intervals.retention_s,
            threads=setup.threads,
        )
        self._changed = asyncio.Event()
        self._failed: BaseException | None = None
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
        term = cls(setup, lead, ledger)
        term._missing = found.missing
        for ticket in found.tickets:
            term._queue.apply(Accepted(ticket=ticket), now=setup.clock())
            if ticket != kept.get(ticket.submission_id):
                term._write_behind.note_ticket(ticket)
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
        try:
            while not stopping.is_set():
                if self._failed is not None:
                    raise self._failed
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
            await self._stop_jobs()
        await self._write_behind.save()

    async def _step(self) -> None:
        now = self._setup.clock()
        await self._renew(now)
        # A clock that was put right goes back.
        if not 0 <= now - self._polled_at < self._setup.intervals.poll_s:
            self._polled_at = now
            await self._read_requests()
            await self._look_for_missing(now)
            await self._look_at_heads()
        if self._write_behind.requests:
            # They are removed below: what is paused must be durable by then, and nobody else lead.
            await self._renew(now, at_once=True)
        if now < self._lead.expires:
            self._begin_what_is_due(now)
        await self._save()
        await self._write_behind.report(every_s=self._setup.intervals.report_s)
        self._retention.begin_if_due(now)

    async def _save(self) -> None:
        for name in await self._write_behind.save():
            self._queue.forget(name)

    async def _renew(self, now: float, *, at_once: bool = False) -> None:
        lead_s, paused = self._setup.intervals.lead_s, tuple(sorted(self._queue.paused))
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
        next_look, next_attempt = now + self._setup.intervals.poll_s, self._queue.wake_at(now=now)
        wake_at = next_look if next_attempt is None else min(next_look, next_attempt)
        waits = [asyncio.create_task(event.wait()) for event in (self._changed, stopping)]
        await asyncio.wait(
            waits, timeout=max(0.0, wake_at - now), return_when=asyncio.FIRST_COMPLETED
        )
        for wait in waits:
            wait.cancel()
        self._changed.clear()

    async def _read_requests(self) -> None:
        listed = await self._threads.call(inbox.waiting, self._store)
        noted = self._write_behind.requests
        fresh = [entry for entry in listed if entry.key not in noted]
        requests = await self._threads.call(
            inbox.read, self._store, fresh[:REQUESTS_AT_ONCE], threads=self._threads
        )
        for request in requests:
            if isinstance(request, CorruptionError):
                logger.warning("a request is passed over: %s", request.message)
                self._write_behind.note_request(str(request.fields["key"]))
                continue
            if isinstance(request, MissingError):
                # Those behind it wait, too: a wish must not come before what it is about.
                logger.warning("a request waits: %s", request.message)
                return
            await self._remember(request.event)
            self._tell(request.event)
            self._write_behind.note_request(request.key)

    async def _remember(self, event: Event) -> None:
        """Find out how a submission has ended that nobody has had in mind for long."""
        name = _subject(event)
        if name is None or name in self._queue.tickets:
            return
        try:
            outcome = await self._threads.call(read_outcome, self._store, name)
        except (CorruptionError, InputError) as error:
            logger.warning("nobody knows how %r has ended: %s", name, error.message)
            return
        if outcome is not None:
            self._queue.apply(Accepted(ticket=outcome), now=self._setup.clock())

    async def _look_for_missing(self, now: float) -> None:
        """Accept submissions that were listed at the beginning and are to be found only now."""
        if self._missing and now - self._asked_again_at >= self._setup.intervals.step_back_s:
            self._asked_again_at = now
            found = await self._threads.call(found_late, self._store, self._missing)
            for ticket in found.tickets:
                self._tell(Accepted(ticket=ticket))
            self._missing = found.missing

    async def _look_at_heads(self) -> None:
        """Interrupt what is being learnt on a version that is not `head` any more."""
        for name, begun in list(self._begun.items()):
            ticket = self._queue.tickets[name]
            if ticket.stage not in INTERRUPTIBLE:
                continue
            head = await self._threads.call(self._heads.of, ticket.adapter, epoch=begun.epoch)
            if head not in (None, begun.parent) and self._begun.get(name) == begun:
                error = (
                    f"`head` moved from version {begun.parent} to {head}; it is learnt again on "
                    "that"
                )
                self._interrupt(name, Broke(submission_id=name, cause=Cause.MOVED, error=error))

    def _begin_what_is_due(self, now: float) -> None:
        for decision in self._queue.decide(now=now):
            name = decision.submission_id
            if name not in self._jobs:  # what was interrupted may not have ended yet
                stage = Stage.ENCODING if isinstance(decision, Encode) else Stage.TRAINING
                self._tell(Moved(submission_id=name, stage=stage))
                self._jobs[name] = asyncio.create_task(self._carry_out(decision))
                self._jobs[name].add_done_callback(self._ended)

    async def _carry_out(self, decision: Decision) -> None:
        name = decision.submission_id
        event: Event | None
        try:
            event = await self._work(decision)
        except asyncio.CancelledError as error:
            if name in self._interruptions:
                event = self._interruptions[name]
            elif is_being_cancelled():
                raise
            else:  # what it waited for was cancelled by others, as a worker that goes away does
                event = self._broken(name, WorkerLostError(f"its work was cancelled ({error!r})"))
        except Exception as error:  # noqa: BLE001 - a job's failure is kept, and ends nothing else
            interrupted = name in self._interruptions
            event = self._interruptions[name] if interrupted else self._broken(name, error)
        self._interruptions.pop(name, None)
        self._begun.pop(name, None)
        if event is not None:
            self._tell(event)
        await self._clear(name)
        del self._jobs[name]
        self._changed.set()

    def _ended(self, job: asyncio.Task[None]) -> None:
        """Note where a job has ended by an error of this loop's own: then the term has to end."""
        if not job.cancelled() and job.exception() is not None:
            self._failed = job.exception()
            self._changed.set()

    async def _work(self, decision: Decision) -> Event:
        name = decision.submission_id
        since = self._queue.tickets[name].since_version
        submission = await self._threads.call(
            existing_submission, self._store, name, because="its ticket names it"
        )
        job = Job(
            crew=self._setup.crew,
            submission=submission,
            tell=self._tell,
            begun=partial(self._begun.__setitem__, name),
            durable=partial(self._write_behind.durable, name),
            progress=partial(self._write_behind.note_progress, name),
        )
        rules = self._setup.rules(submission.adapter).carried_by(submission)
        if not isinstance(decision, Learn):
            return await job.embed(rules)
        owner = f"{self._lead.host} epoch {self._lead.epoch}"
        return await job.learn(rules, owner=owner, since=since)

    async def _clear(self, name: str) -> None:
        """Remove what was handed over once nobody can need it."""
        if self._queue.tickets[name].stage in CLEARED:
            try:
                await self._write_behind.durable(name)
                await self._threads.call(remove_work, self._store, name)
            except (UnavailableError, UnknownOutcomeError) as error:
                logger.warning("%s is left for `nacre gc`: %s", name, error.message)

    def _broken(self, name: str, error: Exception) -> Broke:
        stage, done = self._queue.tickets[name].stage, self._write_behind.done(name)
        before, self._reached[name] = self._reached.get(name), (stage, done)
        progressed = before is None or before[0] is not stage or done > before[1]
        return broken(name, error, progressed=progressed)

    def _interrupt(self, name: str, event: Event | None) -> None:
        """Cancel a job once, and tell `event` when it has ended, unless the queue knows already."""
        if name in self._jobs:
            first = name not in self._interruptions
            self._interruptions[name] = event
            if first:
                self._jobs[name].cancel()

    async def _stop_jobs(self) -> None:
        # Nothing is saved any more: a job that waited for that would wait for ever.
        self._interruptions.clear()
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        await self._retention.stop()

    def _tell(self, event: Event) -> None:
        """Tell the queue, and note what has changed."""
        now, name = self._setup.clock(), _subject(event)
        before = self._queue.tickets.get(name) if name else None
        for decision in self._queue.apply(event, now=now):
            if isinstance(decision, Stop):
                self._interrupt(decision.submission_id, None)
        self._changed.set()
        after = self._queue.tickets.get(name) if name else None
        if after is not None and after != before:
            self._note(before, after, now)

    def _note(self, before: Ticket | None, after: Ticket, now: float) -> None:
        self._write_behind.note_ticket(after)
        if before is None:
            return
        entry = entry_of(before, after, now=now, epoch=self._lead.epoch)
        self._write_behind.note_entry(after.submission_id, entry)
        logger.info(
            "submission %s",
            after.stage.value,
            extra={
                "submission": after.submission_id,
                "task": after.task,
                "adapter": after.adapter,
                "version": after.version,
                "happened": entry.message,
            },
        )
        if before.stage is not after.stage:
            self._write_behind.forget_progress(after.submission_id)


def _subject(event: Event) -> str | None:
    """Return the submission that an event is about."""
    if isinstance(event, Accepted):
        return event.ticket.submission_id
    return getattr(event, "submission_id", None)
