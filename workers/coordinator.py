"""The coordinator: a short loop around the queue. It finds submissions and has them carried out.

    submissions/<id>/state.json    where a submission is, for whoever looks; rewritten as it moves

The queue decides, the crew does the work, the store remembers. A coordinator that is started anew
finds every submission in the store and goes on; what had been published is known from the registry.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from adapters.errors import (
    ConflictError,
    CorruptionError,
    InputError,
    NacreError,
    NotFoundError,
    UnavailableError,
)
from workers.canonical import canonical_json
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
    Ticket,
)
from workers.store.base import ObjectStore
from workers.submission import PREFIX, Submission, read_submission, submission_ids

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


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """What `state.json` says of a submission.

    Attributes:
        ticket: Its place in the queue.
        done: Units of the present stage that are finished: images or steps.
        total: Units of the present stage in all; 0 where they are not counted.
        updated_at: Seconds since the epoch.
    """

    ticket: Ticket
    done: int = 0
    total: int = 0
    updated_at: float

    def to_bytes(self) -> bytes:
        """Return the state as canonical JSON."""
        return canonical_json({"schema": 1, **asdict(self)})


def state_key(submission_id: str) -> str:
    """Return where the state of a submission is kept."""
    return f"{PREFIX}{submission_id}/state.json"


def read_state(store: ObjectStore, submission: Submission) -> State:
    """Return the stored state of `submission`; a submission nobody has seen yet is accepted."""
    try:
        value: dict[str, Any] = json.loads(store.get(state_key(submission.submission_id)).data)
    except NotFoundError:
        return State(ticket=_ticket(submission), updated_at=submission.accepted_at)
    fields = value["ticket"]
    return State(
        ticket=Ticket(**{**fields, "stage": Stage(fields["stage"])}),
        done=value["done"],
        total=value["total"],
        updated_at=value["updated_at"],
    )


def read_submissions(store: ObjectStore) -> list[Submission]:
    """Return all submissions in `store` that can be read, oldest first."""
    found = [_readable(store, submission_id) for submission_id in submission_ids(store)]
    known = [submission for submission in found if submission is not None]
    return sorted(known, key=lambda entry: (entry.accepted_at, entry.submission_id))


def _readable(store: ObjectStore, submission_id: str) -> Submission | None:
    """Return a submission; None, and a warning, where it is damaged: the others must go on."""
    try:
        return read_submission(store, submission_id)
    except CorruptionError as error:
        logger.warning("submission %s is set aside: %s", submission_id, error.message)
        return None


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
    ) -> None:
        self._store = store
        self._crew = crew
        self._queue = queue or Queue()
        self._poll_s = poll_s
        self._clock = clock
        self._report_every_s = report_every_s
        self._known: set[str] = set()
        self._submissions: dict[str, Submission] = {}
        self._states: dict[str, State] = {}
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
            await self._wait()
        for job in self._jobs:
            job.cancel()
        await asyncio.gather(*self._jobs, return_exceptions=True)

    def stop(self) -> None:
        """Let `run` return; work under way is given up and found again at the next start."""
        self._stopping = True
        self._changed.set()

    def poke(self) -> None:
        """Look for new submissions now."""
        self._changed.set()

    def report(self, submission_id: str, done: int, total: int) -> None:
        """Note the progress of the present stage, and write it down now and then."""
        state = self._states[submission_id]
        now = self._clock()
        due = now - state.updated_at >= self._report_every_s
        if due or done >= total:
            self._write(replace(state, done=done, total=total, updated_at=now))

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._changed.wait(), timeout=self._poll_s)
        except TimeoutError:
            return
        self._changed.clear()

    async def _discover(self) -> None:
        for submission in await asyncio.to_thread(self._unknown):
            self._submissions[submission.submission_id] = submission
            state = await asyncio.to_thread(read_state, self._store, submission)
            self._states[submission.submission_id] = state
            # Whatever was under way when the last coordinator ended is begun again.
            ended = state.ticket.stage in ENDED
            ticket = state.ticket if ended else replace(state.ticket, stage=Stage.ACCEPTED)
            self._apply(Accepted(ticket=ticket))

    def _unknown(self) -> list[Submission]:
        new = [name for name in submission_ids(self._store) if name not in self._known]
        found = [_readable(self._store, name) for name in new]
        self._known.update(new)
        return [submission for submission in found if submission is not None]

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
        before = self._queue.tickets
        self._queue = self._queue.apply(event)
        for submission_id, ticket in self._queue.tickets.items():
            if before.get(submission_id) != ticket:
                self._write(State(ticket=ticket, updated_at=self._clock()))

    def _write(self, state: State) -> None:
        self._states[state.ticket.submission_id] = state
        self._store.put(state_key(state.ticket.submission_id), state.to_bytes())


def _ticket(submission: Submission) -> Ticket:
    return Ticket(
        submission_id=submission.submission_id,
        task=submission.task,
        adapter=submission.adapter,
        accepted_at=submission.accepted_at,
        priority=submission.priority,
    )
