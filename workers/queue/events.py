"""Events that the queue is told, and the decisions that it returns."""

from dataclasses import dataclass

from workers.queue.ticket import Cause, Stage, Ticket


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """A submission has become durable."""

    ticket: Ticket


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """A submission has reached a stage.

    Attributes:
        submission_id: Whose.
        stage: Which.
        parent: The version that it is learnt on, 0 for none; None where that is not news.
        version: The version that it was published as; None before.
        note: What else there is to say.
    """

    submission_id: str
    stage: Stage
    parent: int | None = None
    version: int | None = None
    note: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Broke:
    """A stage did not end well.

    Attributes:
        submission_id: Whose.
        cause: What kind of failure.
        error: Why, as a sentence.
        progressed: Whether the work had come further than at its last loss.
    """

    submission_id: str
    cause: Cause
    error: str
    progressed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancel:
    """Somebody takes a submission back."""

    submission_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """Somebody wants a submission to be tried again, or now where it waits."""

    submission_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause:
    """Nothing new of an adapter is to be begun; `*` stands for all adapters."""

    adapter: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Resume:
    """An adapter goes on; `*` stands for all adapters."""

    adapter: str


Event = Accepted | Moved | Broke | Cancel | Retry | Pause | Resume


@dataclass(frozen=True, kw_only=True, slots=True)
class Encode:
    """Begin to embed the images of a submission."""

    submission_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Learn:
    """Begin to train, compress, check and publish a submission."""

    submission_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Stop:
    """Break off whatever is being done for a submission."""

    submission_id: str


Decision = Encode | Learn | Stop
