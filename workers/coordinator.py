"""The coordinator: a short loop around the queue. It finds submissions and has them carried out.

The queue decides, the crew does the work, the store remembers. A coordinator that is started anew
finds every submission in the store and goes on; what had been published is known from the registry.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from adapters.errors import (
    ConflictError,
    InputError,
    NacreError,
    UnavailableError,
)
from workers.progress import State, read_state, readable_submission, state_key
from workers.queue import (
    ENDED,
    Accepted,
    Broke,
    Decision,
    Encode,
    Event,
    Moved,
    Queue,
    Stage,
)
from workers.store.base import ObjectStore
from workers.submission import Submission, submission_ids

Progress = Callable[[int, int], None]
logger = logging.getLogger("nacre.coordinator")


class Crew(Protocol):
    """The roles as the coordinator calls them; where they run is no concern of its.

    Every call may be made again after a failure: what it had finished is found in the store.
    """

    async def published_as(self, submission: Submission) -> int | None:
        """Return the version that holds `submission` in `head`, if any does."""

    async def embed(self, submission: Submission, progress: Progress) -> None:
        """Embed all images of `submission`."""

    async def train(self, submission: Submission, progress: Progress) -> None:
        """Learn `submission` on top of `head`, and hand over what was learnt."""

    async def compress(self, submission: Submission) -> None:
        """Fit the mixtures, and hand over the finished record."""

    async def publish(self, submission: Submission) -> int:
        """Measure the new version, publish it, and return its number."""


class Coordinator:
    """Finds submissions, asks the queue what to do next, and has the crew do it."""

    # Owns: the queue, the running jobs, and every `state.json`.

    def __init__(
        self,
        store: ObjectStore,
        crew: Crew,
        *,
        queue: Queue | None = None,
        poll_s: float = 0.5,
        clock: Callable[[], float] = time.time,
        report_every_s: float = 0.3,
        retry_s: float = 1.0,
    ) -> None:
        self._store = store
        self._crew = crew
        self._queue = queue or Queue()
        self._poll_s = poll_s
        self._clock = clock
        self._report_every_s = report_every_s
        self._retry_s = retry_s
        self._damaged: set[str] = set()
        self._submissions: dict[str, Submission] = {}
        self._states: dict[str, State] = {}
        self._unwritten: dict[str, State] = {}
        self._jobs: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Work until `stop` is called."""
        while not self._stopping:
            try:
                await self._discover()
                self._start_what_is_due()
            except UnavailableError as error:
                logger.warning("waiting for the store: %s", error.message)
            self._write_down()
            await self._wait()
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    def stop(self) -> None:
        """Let `run` return; work under way is given up and found again at the next start."""
        self._stopping = True
        self._changed.set()

    def report(self, submission_id: str, done: int, total: int) -> None:
        """Note the progress of the present stage, and write it down now and then."""
        state = self._states[submission_id]
        now = self._clock()
        due = now - state.updated_at >= self._report_every_s
        if due or done >= total:
            self._note(replace(state, done=done, total=total, updated_at=now))

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), timeout=self._poll_s)
        except TimeoutError:
            return
        self._changed.clear()

    async def _discover(self) -> None:
        for submission, state in await asyncio.to_thread(self._unknown):
            self._submissions[submission.submission_id] = submission
            self._states[submission.submission_id] = state
            # Whatever was under way when the last coordinator ended is begun again.
            ended = state.ticket.stage in ENDED
            ticket = state.ticket if ended else replace(state.ticket, stage=Stage.ACCEPTED)
            self._apply(Accepted(ticket=ticket))

    def _unknown(self) -> list[tuple[Submission, State]]:
        found = []
        for name in submission_ids(self._store):
            if name in self._submissions or name in self._damaged:
                continue
            submission = readable_submission(self._store, name)
            if submission is None:
                self._damaged.add(name)
            else:
                found.append((submission, read_state(self._store, submission)))
        return found

    def _start_what_is_due(self) -> None:
        for decision in self._queue.decide():
            stage = Stage.ENCODING if isinstance(decision, Encode) else Stage.TRAINING
            self._apply(Moved(submission_id=decision.submission_id, stage=stage))
            job = asyncio.create_task(self._carry_out(decision))
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)

    async def _carry_out(self, decision: Decision) -> None:
        submission = self._submissions[decision.submission_id]
        try:
            event = await self._work(decision, submission)
        except ConflictError:
            # Somebody moved `head` meanwhile: learn again on the new one.
            event = Moved(submission_id=submission.submission_id, stage=Stage.WAITING)
        except UnavailableError as error:
            # A worker or the store is gone for a while: wait, and lose neither place nor attempt.
            logger.warning("%s waits: %s", submission.submission_id, error.message)
            await asyncio.sleep(self._retry_s)
            event = Broke(
                submission_id=submission.submission_id, error=error.message, counted=False
            )
        except Exception as error:  # noqa: BLE001 - a job's failure is kept, and must not end the loop
            event = Broke(
                submission_id=submission.submission_id,
                error=error.message if isinstance(error, NacreError) else repr(error),
                final=isinstance(error, InputError),
            )
        self._apply(event)
        self._changed.set()

    async def _work(self, decision: Decision, submission: Submission) -> Event:
        submission_id = submission.submission_id

        def progress(done: int, total: int) -> None:
            self.report(submission_id, done, total)

        if isinstance(decision, Encode):
            await self._crew.embed(submission, progress)
            return Moved(submission_id=submission_id, stage=Stage.WAITING)
        version = await self._crew.published_as(submission)
        if version is None:
            await self._crew.train(submission, progress)
            self._apply(Moved(submission_id=submission_id, stage=Stage.COMPRESSING))
            await self._crew.compress(submission)
            self._apply(Moved(submission_id=submission_id, stage=Stage.CHECKING))
            version = await self._crew.publish(submission)
        return Moved(submission_id=submission_id, stage=Stage.PUBLISHED, version=version)

    def _apply(self, event: Event) -> None:
        subject = event.ticket if isinstance(event, Accepted) else event
        submission_id = subject.submission_id
        before = self._queue.tickets.get(submission_id)
        self._queue = self._queue.apply(event)
        ticket = self._queue.tickets[submission_id]
        if ticket != before:
            self._note(State(ticket=ticket, updated_at=self._clock()))

    def _note(self, state: State) -> None:
        self._states[state.ticket.submission_id] = state
        self._unwritten[state.ticket.submission_id] = state
        self._write_down()

    def _write_down(self) -> None:
        """Store every state that is not stored yet; what the store refuses now is tried again."""
        try:
            for submission_id, state in list(self._unwritten.items()):
                self._store.put(state_key(submission_id), state.to_bytes())
                del self._unwritten[submission_id]
        except UnavailableError as error:
            logger.warning("state not written yet: %s", error.message)
