"""Jobs: the work on one submission, from a decision of the queue to the event that it ends with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from adapters.errors import (
    ConflictError,
    InputError,
    NacreError,
    NotFoundError,
    UnavailableError,
    UnknownOutcomeError,
    WorkerLostError,
    reason_of,
)
from workers.coordination.settings import AdapterRules
from workers.learning.crew import Assignment, Begun, Crew, Publication
from workers.logs.errand import Errand, begin_errand
from workers.progress_callbacks import ProgressCallback
from workers.queue.events import Broke, Event, Moved
from workers.queue.ticket import Cause, Stage
from workers.tasks.submission import Submission


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One submission's way through the roles.

    Attributes:
        crew: The roles.
        submission: What is to be done.
        errand: Returns what the roles are told that they are asked for, as of now.
        tell: Tells the queue of an event.
        begun: Is told what it is learnt on, before the queue is.
        durable: Waits until what the queue was told is durable.
        progress: Called with units done and units in all.
    """

    crew: Crew
    submission: Submission
    errand: Callable[[], Errand]
    tell: Callable[[Event], None]
    begun: Callable[[Begun], None]
    durable: Callable[[], Awaitable[None]]
    progress: ProgressCallback

    async def embed(self, rules: AdapterRules) -> Event:
        """Embed all images as `rules` say, and return the event that it ends with."""
        begin_errand(self.errand())
        await self.crew.embed(self.submission, self.progress, method=rules.method)
        return self._moved(Stage.WAITING)

    async def learn(self, rules: AdapterRules, *, owner: str, since: int | None) -> Event:
        """Train, compress, check and publish, and return the event that it ends with.

        Args:
            rules: How.
            owner: Names who learns it.
            since: See `Crew.begin`.
        """
        begin_errand(self.errand())
        begun = await self.crew.begin(self.submission, owner=owner, since=since)
        if begun.published is not None:
            return self._ended(begun.published)
        assignment = Assignment(
            submission=self.submission,
            method=rules.method,
            encoder=begun.encoder,
            gate=rules.gate,
            parent=begun.parent,
            epoch=begun.epoch,
        )
        self.begun(begun)
        self.tell(self._moved(Stage.TRAINING, parent=begun.parent))
        await self.crew.train(assignment, self.progress)
        self._reach(Stage.COMPRESSING)
        await self.crew.compress(assignment)
        self._reach(Stage.CHECKING)
        # Whoever comes after a crash must know from which version on to look for this one.
        await self.durable()
        return self._ended(await self.crew.publish(assignment))

    def _reach(self, stage: Stage) -> None:
        self.tell(self._moved(stage))
        begin_errand(self.errand())

    def _moved(self, stage: Stage, *, parent: int | None = None) -> Moved:
        return Moved(submission_id=self.submission.submission_id, stage=stage, parent=parent)

    def _ended(self, published: Publication) -> Moved:
        return Moved(
            submission_id=self.submission.submission_id,
            stage=Stage.PUBLISHED if published.built_upon else Stage.REJECTED,
            version=published.version,
            note=published.note,
        )


CAUSES: tuple[tuple[type[NacreError], Cause], ...] = (
    (ConflictError, Cause.MOVED),  # somebody moved `head`, or has begun the adapter anew
    (WorkerLostError, Cause.LOSS),
    (UnavailableError, Cause.OUTAGE),
    (UnknownOutcomeError, Cause.OUTAGE),  # the next attempt begins by looking whether it happened
    (NotFoundError, Cause.MISSING),
    (InputError, Cause.INPUT),
)


def broken(submission_id: str, error: BaseException, *, progressed: bool) -> Broke:
    """Return the event that `error` is to the queue."""
    cause = next((cause for kind, cause in CAUSES if isinstance(error, kind)), Cause.FAULT)
    return Broke(
        submission_id=submission_id, cause=cause, error=reason_of(error), progressed=progressed
    )
