"""Small queues for the tests of the state machine, and the words to move them on."""

from workers.queue.events import Accepted, Broke, Cancel, Decision, Encode, Learn, Moved, Retry
from workers.queue.machine import Limits, Queue
from workers.queue.retry_policy import RetryPolicy
from workers.queue.ticket import Cause, Stage, Ticket

ONE_AT_A_TIME = Limits(learning=1, retry_policy=RetryPolicy(attempts=3, first_s=5, growth=4))


def ticket(
    name: str,
    *,
    adapter: str = "main",
    accepted_at: float = 0.0,
    priority: int = 0,
    stage: Stage = Stage.ACCEPTED,
) -> Ticket:
    """Return the ticket of a submission that is called like its task."""
    return Ticket(
        submission_id=name,
        task=name,
        adapter=adapter,
        accepted_at=accepted_at,
        priority=priority,
        stage=stage,
    )


class Scene:
    """A queue, and the events that are told to it most often.

    Attributes:
        queue: The queue.
        now: Seconds since the epoch.
    """

    # Owns: the queue and the time.

    def __init__(self, *tickets: Ticket, limits: Limits = ONE_AT_A_TIME) -> None:
        self.queue = Queue(limits)
        self.now = 100.0
        for entry in tickets:
            self.queue.apply(Accepted(ticket=entry), now=self.now)

    def __getitem__(self, name: str) -> Ticket:
        return self.queue.tickets[name]

    def due(self) -> tuple[Decision, ...]:
        """Return what is to be begun now."""
        return self.queue.decide(now=self.now)

    def learnt_next(self) -> list[str]:
        """Return whose learning is to be begun now."""
        return [entry.submission_id for entry in self.due() if isinstance(entry, Learn)]

    def encoded_next(self) -> list[str]:
        """Return whose images are to be embedded now."""
        return [entry.submission_id for entry in self.due() if isinstance(entry, Encode)]

    def move(self, name: str, *stages: Stage, parent: int | None = None) -> None:
        """Tell that a submission has reached `stages`, one after the other."""
        for stage in stages:
            event = Moved(submission_id=name, stage=stage, parent=parent)
            assert self.queue.apply(event, now=self.now) == ()

    def publish(self, name: str, *, version: int = 1) -> None:
        """Tell that a submission was published."""
        event = Moved(submission_id=name, stage=Stage.PUBLISHED, version=version)
        self.queue.apply(event, now=self.now)

    def breaks(
        self, name: str, cause: Cause = Cause.FAULT, *, progressed: bool = False, error: str = "why"
    ) -> Ticket:
        """Tell that a stage of a submission broke, and return the ticket after it."""
        event = Broke(submission_id=name, cause=cause, error=error, progressed=progressed)
        assert self.queue.apply(event, now=self.now) == ()
        return self[name]

    def cancel(self, name: str) -> tuple[Decision, ...]:
        """Tell that somebody takes a submission back, and return what is to be done at once."""
        return self.queue.apply(Cancel(submission_id=name), now=self.now)

    def retry(self, name: str) -> Ticket:
        """Tell that somebody wants a submission to be tried again; return its ticket after it."""
        assert self.queue.apply(Retry(submission_id=name), now=self.now) == ()
        return self[name]
