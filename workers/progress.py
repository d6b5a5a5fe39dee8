"""Where submissions are, for whoever looks.

submissions/<id>/state.json    rewritten by the coordinator as the submission moves
"""

import json
import logging
from dataclasses import asdict, dataclass
from typing import Any

from adapters.errors import CorruptionError, NotFoundError
from workers.canonical import canonical_json
from workers.queue import Stage, Ticket
from workers.store.base import ObjectStore
from workers.submission import PREFIX, Submission, read_submission, submission_ids

logger = logging.getLogger("nacre.coordinator")


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
    """Return the stored state of `submission`.

    A submission that nobody has seen yet is accepted; so is one whose state is damaged, because a
    state can be made anew.
    """
    try:
        return _parsed(store.get(state_key(submission.submission_id)).data)
    except NotFoundError:
        pass
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning("state of %s is damaged: %r", submission.submission_id, error)
    return State(ticket=_ticket(submission), updated_at=submission.accepted_at)


def read_submissions(store: ObjectStore) -> list[Submission]:
    """Return all submissions in `store` that can be read, oldest first."""
    found = [readable_submission(store, submission_id) for submission_id in submission_ids(store)]
    known = [submission for submission in found if submission is not None]
    return sorted(known, key=lambda entry: (entry.accepted_at, entry.submission_id))


def readable_submission(store: ObjectStore, submission_id: str) -> Submission | None:
    """Return a submission; None, and a warning, where it is damaged: the others must go on."""
    try:
        return read_submission(store, submission_id)
    except CorruptionError as error:
        logger.warning("submission %s is set aside: %s", submission_id, error.message)
        return None


def _parsed(content: bytes) -> State:
    value: dict[str, Any] = json.loads(content)
    fields = value["ticket"]
    return State(
        ticket=Ticket(**{**fields, "stage": Stage(fields["stage"])}),
        done=value["done"],
        total=value["total"],
        updated_at=value["updated_at"],
    )


def _ticket(submission: Submission) -> Ticket:
    return Ticket(
        submission_id=submission.submission_id,
        task=submission.task,
        adapter=submission.adapter,
        accepted_at=submission.accepted_at,
        priority=submission.priority,
    )
