"""Jobs that run while one coordinator leads: begun, interrupted, and told of when they end."""

import asyncio
import logging
from functools import partial

from adapters.errors import UnavailableError, UnknownOutcomeError, WorkerLostError
from workers.concurrency.supervision import is_being_cancelled
from workers.coordination.aliases import Heads
from workers.coordination.jobs import Job, broken
from workers.coordination.kept_queue import KeptQueue
from workers.coordination.settings import Setup
from workers.coordination.write_behind import WriteBehind
from workers.learning.crew import Begun
from workers.learning.handover import remove_work
from workers.logs.errand import Errand
from workers.queue.events import Broke, Decision, Encode, Event, Learn, Moved
from workers.queue.leadership import Leadership
from workers.queue.ticket import CLEARED, Cause, Stage
from workers.queue.traced import stage_span
from workers.registry.documents.layout import HEAD
from workers.tasks.submission import existing_submission

INTERRUPTIBLE = frozenset({Stage.TRAINING, Stage.COMPRESSING})
logger = logging.getLogger("nacre.coordinator")


class RunningJobs:
    """Carries out what a queue decides.

    Args:
        setup: Of the coordinator.
        lead: Under which the work is done.
        queue: Is told what comes of it.
        write_behind: Makes it durable.
        changed: Is set when a job has ended.

    Attributes:
        failed: An error of this loop's own that has ended a job: then the term has to end.
    """

    # Owns: the tasks of the event loop, and what is known of each while it runs.

    def __init__(
        self,
        setup: Setup,
        lead: Leadership,
        queue: KeptQueue,
        write_behind: WriteBehind,
        *,
        changed: asyncio.Event,
    ) -> None:
        self._setup = setup
        self._store = setup.store
        self._threads = setup.threads
        self._owner = f"{lead.host} epoch {lead.epoch}"
        self._queue = queue
        self._write_behind = write_behind
        self._changed = changed
        self._heads = Heads(setup.store)
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._interruptions: dict[str, Event | None] = {}
        self._begun: dict[str, Begun] = {}
        self._reached: dict[str, tuple[Stage, int]] = {}
        self.failed: BaseException | None = None

    def begin_what_is_due(self, now: float) -> None:
        """Begin what the queue decides on."""
        for decision in self._queue.machine.decide(now=now):
            name = decision.submission_id
            if name not in self._jobs:  # what was interrupted may not have ended yet
                stage = Stage.ENCODING if isinstance(decision, Encode) else Stage.TRAINING
                self._queue.tell(Moved(submission_id=name, stage=stage))
                self._jobs[name] = asyncio.create_task(self._carry_out(decision))
                self._jobs[name].add_done_callback(self._ended)

    async def look_at_heads(self) -> None:
        """Interrupt what is being learnt on a version that is not `head` any more."""
        for name, begun in list(self._begun.items()):
            ticket = self._queue.ticket(name)
            if ticket.stage not in INTERRUPTIBLE:
                continue
            alias = ticket.branch or HEAD
            head = await self._threads.call(
                self._heads.of, ticket.adapter, epoch=begun.epoch, alias=alias
            )
            if head not in (None, begun.parent) and self._begun.get(name) == begun:
                error = (
                    f"`{alias}` moved from version {begun.parent} to {head}; it is learnt again on "
                    "that"
                )
                self.interrupt(name, Broke(submission_id=name, cause=Cause.MOVED, error=error))

    def interrupt(self, name: str, event: Event | None) -> None:
        """Cancel a job once, and tell `event` when it has ended, unless the queue knows already."""
        if name in self._jobs:
            first = name not in self._interruptions
            self._interruptions[name] = event
            if first:
                self._jobs[name].cancel()

    async def stop(self) -> None:
        """Cancel all jobs, and return when they have ended."""
        # Nothing is saved any more: a job that waited for that would wait for ever.
        self._interruptions.clear()
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)

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
        except Exception as error:  # a job's failure is kept, and ends nothing else
            interrupted = name in self._interruptions
            event = self._interruptions[name] if interrupted else self._broken(name, error)
            if isinstance(event, Broke) and event.cause is Cause.FAULT:
                logger.warning("a fault", exc_info=error, extra={"submission": name})
        self._interruptions.pop(name, None)
        self._begun.pop(name, None)
        if event is not None:
            self._queue.tell(event)
        await self._clear(name)
        del self._jobs[name]
        self._changed.set()

    def _ended(self, job: asyncio.Task[None]) -> None:
        """Note where a job has ended by an error of this loop's own: then the term has to end."""
        if not job.cancelled() and job.exception() is not None:
            self.failed = job.exception()
            self._changed.set()

    async def _work(self, decision: Decision) -> Event:
        name = decision.submission_id
        since = self._queue.ticket(name).since_version
        submission = await self._threads.call(
            existing_submission, self._store, name, because="its ticket names it"
        )
        job = Job(
            crew=self._setup.crew,
            submission=submission,
            errand=partial(self._errand, name),
            tell=self._queue.tell,
            begun=partial(self._begun.__setitem__, name),
            durable=partial(self._write_behind.durable, name),
            progress=partial(self._write_behind.note_progress, name),
        )
        rules = self._setup.rules(submission.adapter).carried_by(submission)
        if not isinstance(decision, Learn):
            return await job.embed(rules)
        return await job.learn(rules, owner=self._owner, since=since)

    def _errand(self, name: str) -> Errand:
        ticket = self._queue.ticket(name)
        return Errand(
            submission_id=name,
            stage=ticket.stage.value,
            round=ticket.round,
            attempt=ticket.attempts + 1,
            traceparent=str(stage_span(ticket) or ""),
        )

    async def _clear(self, name: str) -> None:
        """Remove what was handed over once nobody can need it."""
        if self._queue.ticket(name).stage in CLEARED:
            try:
                await self._write_behind.durable(name)
                await self._threads.call(remove_work, self._store, name)
            except (UnavailableError, UnknownOutcomeError) as error:
                logger.warning("%s is left for `nacre gc`: %s", name, error.message)

    def _broken(self, name: str, error: Exception) -> Broke:
        stage, done = self._queue.ticket(name).stage, self._write_behind.done(name)
        before, self._reached[name] = self._reached.get(name), (stage, done)
        progressed = before is None or before[0] is not stage or done > before[1]
        return broken(name, error, progressed=progressed)
