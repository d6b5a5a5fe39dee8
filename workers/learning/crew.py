"""Crew: the interface through which the coordinator calls the workers, and its messages."""

from dataclasses import dataclass, field
from typing import Protocol

from workers.learning.gate import Gate
from workers.progress_callbacks import ProgressCallback
from workers.tasks.submission import Submission


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """One submission to be learnt, and everything that the roles must know of it.

    Attributes:
        submission: What is to be learnt.
        method: The method's name.
        gate: Decides whether the new version is served.
        encoder: Fingerprint of the encoder whose features are learnt from.
        parent: The version to learn on; 0 for none.
        epoch: The fencing token: of all assignments of an adapter only the latest can publish.
    """

    submission: Submission
    method: str
    encoder: str
    gate: Gate = field(default_factory=Gate)
    parent: int = 0
    epoch: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Publication:
    """The version that a submission was published as.

    Attributes:
        version: Its number.
        built_upon: Whether `head` moved to it; if not, the gate refused it.
        note: Why the gate has not let it be served, or what it has let through unmeasured.
    """

    version: int
    built_upon: bool = True
    note: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """What is known when a submission is about to be learnt.

    Attributes:
        parent: The version to learn on; 0 for none.
        epoch: The fencing token under which to publish.
        encoder: Fingerprint of the encoder whose features are learnt from.
        published: Set where the submission was published already; nothing is to be learnt then.
    """

    parent: int
    epoch: int
    encoder: str
    published: Publication | None = None


class Crew(Protocol):
    """The roles; where they run is no concern of the coordinator.

    Every call may be made again after a failure: what it had finished is found in the store. A call
    whose task is cancelled makes the role stop soon. Besides the errors of the work itself, every
    call raises WorkerLostError when a worker died under it, and UnavailableError when the workers
    or the store cannot be reached.
    """

    async def embed(
        self, submission: Submission, progress: ProgressCallback, *, method: str
    ) -> None:
        """Embed all images of `submission`, in as many views as `method` learns from."""

    async def begin(self, submission: Submission, *, owner: str, since: int | None) -> Begun:
        """Return what to learn `submission` on, and fence off everybody who began it before.

        Args:
            submission: What is to be learnt.
            owner: Names who learns it, for people.
            since: Where it was begun before, a version that is older than what that may have
                published, 0 for none; None where it was never begun.
        """

    async def train(self, assignment: Assignment, progress: ProgressCallback) -> None:
        """Learn, and hand over what was learnt."""

    async def compress(self, assignment: Assignment) -> None:
        """Fit the mixtures, and hand over the finished record."""

    async def publish(self, assignment: Assignment) -> Publication:
        """Measure the new version and publish it."""
