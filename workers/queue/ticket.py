"""Ticket: a submission's state in the queue (stage, attempts, failures), as plain values."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import FiniteFloat


class Stage(StrEnum):
    """Where a submission is on its way."""

    ACCEPTED = "accepted"  # durable; its images are to be embedded
    ENCODING = "encoding"  # its images are being embedded
    WAITING = "waiting"  # embedded; earlier tasks of its adapter are learnt first
    TRAINING = "training"  # being learnt on top of `head`
    COMPRESSING = "compressing"  # its mixtures are being fitted
    CHECKING = "checking"  # its new version is being measured and published
    PUBLISHED = "published"  # part of a version
    REJECTED = "rejected"  # a version that the gate refused: kept, but not served nor built upon
    FAILED = "failed"  # for good, with its reason
    CANCELLED = "cancelled"  # taken back by a person


ENDED = frozenset({Stage.PUBLISHED, Stage.REJECTED, Stage.FAILED, Stage.CANCELLED})
LEARNING = frozenset({Stage.TRAINING, Stage.COMPRESSING, Stage.CHECKING})
CLEARED = frozenset({Stage.PUBLISHED, Stage.REJECTED, Stage.CANCELLED})
"""Ended, and nothing that was half done is needed any more; a failed one may be tried again."""
ACTIVE = LEARNING | {Stage.ENCODING}


class Cause(StrEnum):
    """Why a stage did not end well, which decides what is done about it."""

    INPUT = "input"  # the request itself cannot be carried out; trying again cannot help
    FAULT = "fault"  # the work failed: an attempt is used up
    MISSING = "missing"  # something that an earlier stage had made is gone: an attempt is used up
    LOSS = "loss"  # the worker died under it: no attempt, unless that goes on without progress
    OUTAGE = "outage"  # the store or the workers cannot be reached: no attempt, however long
    MOVED = "moved"  # `head` moved meanwhile: learn again on the new one


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why an attempt ended.

    Attributes:
        stage: Where it was.
        cause: What kind of failure.
        error: The reason, as a sentence.
        at: When, in seconds since the epoch.
    """

    stage: Stage
    cause: Cause
    error: str
    at: FiniteFloat


@dataclass(frozen=True, kw_only=True, slots=True)
class Ticket:
    """One submission's place in the queue.

    Attributes:
        submission_id: Names the submission.
        task: Name of its task.
        adapter: The adapter that it grows.
        accepted_at: Seconds since the epoch; first come, first served.
        priority: Higher goes first.
        images: How many images it has, both splits together.
        author: Who submitted it; empty where it was submitted before that was kept here.
        size_bytes: Bytes of its shards; 0 where it was submitted before that was kept here.
        stage: Where it is.
        since: When it came there, in seconds since the epoch.
        round: How often somebody has asked for it: 1, and 1 more for every `retry`.
        attempts: How often a stage of it has failed in this round.
        losses: How often in a row a worker died under it without progress.
        not_before: It waits until then, in seconds since the epoch, after a failure.
        failures: The latest ones, oldest first.
        parent: The version that it was or is learnt on; 0 for none; None before that is known.
        version: The version that it was published as.
        earlier: The latest version that it was published as in an earlier round; 0 for none.
        note: What else there is to say of how it ended, such as why the gate refused it or
            what it could not measure.
        branch: The alias that it grows in place of `head`; empty for that.
        traceparent: The span that it was submitted in; empty where nobody traces it.
    """

    submission_id: str
    task: str
    adapter: str
    accepted_at: FiniteFloat
    priority: int = 0
    images: int = 0
    author: str = ""
    size_bytes: int = 0
    stage: Stage = Stage.ACCEPTED
    since: FiniteFloat = 0.0
    round: int = 1
    attempts: int = 0
    losses: int = 0
    not_before: FiniteFloat = 0.0
    failures: tuple[Failure, ...] = ()
    parent: int | None = None
    version: int | None = None
    earlier: int = 0
    note: str | None = None
    branch: str = ""
    traceparent: str = ""

    @property
    def order(self) -> tuple[int, float, str]:
        """Sorts the tickets of one adapter: by priority, then first come first served."""
        return -self.priority, self.accepted_at, self.submission_id

    @property
    def arrival(self) -> tuple[float, str]:
        """Sorts tickets of several adapters: first come, first served."""
        return self.accepted_at, self.submission_id

    @property
    def since_version(self) -> int | None:
        """Whatever this round has published is a later version; None where it was never begun."""
        return None if self.parent is None else max(self.parent, self.earlier)

    @property
    def error(self) -> str | None:
        """Why its latest attempt failed."""
        return self.failures[-1].error if self.failures else None
