"""Progress of submissions for whoever looks; it needs nothing but the store.

queue/progress.json    how far the active ones are; rewritten by the coordinator every moment
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pydantic import FiniteFloat

from adapters.errors import CorruptionError, NotFoundError
from workers.formats.documents import encode, validated
from workers.queue import inbox
from workers.queue.events import Accepted
from workers.queue.leadership import Leadership, read_leadership
from workers.queue.ledger import bucket_of, read_outcome, read_page, read_pages
from workers.queue.ticket import ACTIVE, Ticket
from workers.store.base import ObjectStore
from workers.tasks.submission import Submission, read_submission

KEY = "queue/progress.json"
SHOWN_IN_INBOX = 100
_FIELDS = tuple(entry.name for entry in fields(Ticket))


@dataclass(frozen=True, kw_only=True, slots=True)
class StageProgress:
    """How far the present stage of a submission is.

    Attributes:
        done: Units that are finished: images or steps.
        total: Units in all; 0 where they are not counted.
        begun_at: When the first of them was reported, in seconds since the epoch.
        begun_with: How many were finished then; a resumed training does not begin at 0.
        at: When this was reported.
    """

    done: int
    total: int
    begun_at: FiniteFloat
    begun_with: int
    at: FiniteFloat

    @property
    def rate(self) -> float | None:
        """Units per second; None before there is anything to tell it from."""
        seconds = self.at - self.begun_at
        return (self.done - self.begun_with) / seconds if seconds > 0 else None

    @property
    def left_s(self) -> float | None:
        """Seconds left, if it goes on at this rate; None where nobody can say."""
        rate = self.rate
        return (self.total - self.done) / rate if rate and self.total else None


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """Where a submission is.

    Attributes:
        ticket: Its place in the queue.
        progress: How far the present stage is; None where nobody works on it.
    """

    ticket: Ticket
    progress: StageProgress | None = None

    @property
    def done(self) -> int:
        """Units of the present stage that are finished."""
        return self.progress.done if self.progress else 0

    @property
    def total(self) -> int:
        """Units of the present stage in all; 0 where they are not counted."""
        return self.progress.total if self.progress else 0

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        progress = self.progress
        ticket = {name: getattr(self.ticket, name) for name in _FIELDS}
        return {
            **ticket,
            "failures": [asdict(failure) for failure in self.ticket.failures],
            "error": self.ticket.error,
            "done": self.done,
            "total": self.total,
            "rate": progress.rate if progress else None,
            "left_s": progress.left_s if progress else None,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueState:
    """The whole queue as it is stored.

    Attributes:
        lead: Who coordinates or did last; None where nobody ever has.
        states: Open submissions and those that ended lately, in the order of acceptance.
        unread: How many requests nobody has taken note of yet.
    """

    lead: Leadership | None
    states: tuple[State, ...] = field(default=())
    unread: int = 0


def read_queue(store: ObjectStore) -> QueueState:
    """Return the whole queue.

    Of submissions that no coordinator has seen yet only the first ones are looked into.
    """
    # The inbox first: what is taken note of meanwhile is on its page by then.
    listed = inbox.waiting(store)
    requests = list(inbox.read(store, listed[:SHOWN_IN_INBOX]))
    tickets = {ticket.submission_id: ticket for ticket in read_pages(store)}
    for request in requests:
        if isinstance(request, inbox.QueueRequest) and isinstance(request.event, Accepted):
            ticket = request.event.ticket
            tickets.setdefault(ticket.submission_id, ticket)
    progress = read_progress(store)
    ordered = sorted(tickets.values(), key=lambda ticket: (ticket.accepted_at, ticket.order))
    states = tuple(_state(ticket, progress) for ticket in ordered)
    return QueueState(lead=read_leadership(store), states=states, unread=len(listed))


def read_state(store: ObjectStore, submission: Submission) -> State:
    """Return where `submission` is; accepted where no coordinator has seen it yet."""
    ticket = known_ticket(store, submission.submission_id) or ticket_of(submission)
    return _state(ticket, read_progress(store))


def find_state(store: ObjectStore, submission_id: str) -> State:
    """Return where the submission called `submission_id` is.

    Raises:
        NotFoundError: there is none.
    """
    ticket = known_ticket(store, submission_id)
    if ticket is None:
        return read_state(store, read_submission(store, submission_id))
    return _state(ticket, read_progress(store))


def known_ticket(store: ObjectStore, submission_id: str) -> Ticket | None:
    """Return the ticket of a submission; None where no coordinator has seen it yet."""
    on_page = read_page(store, bucket_of(submission_id)).tickets.get(submission_id)
    return on_page or read_outcome(store, submission_id)


def _state(ticket: Ticket, progress: Mapping[str, StageProgress]) -> State:
    # What was reported last may be of a stage that is over.
    active = ticket.stage in ACTIVE
    return State(ticket=ticket, progress=progress.get(ticket.submission_id) if active else None)


def ticket_of(submission: Submission) -> Ticket:
    """Return the ticket of a submission that has just been accepted."""
    return Ticket(
        submission_id=submission.submission_id,
        task=submission.task,
        adapter=submission.adapter,
        accepted_at=submission.accepted_at,
        since=submission.accepted_at,
        priority=submission.priority,
        images=submission.images("train") + submission.images("held_out"),
        author=submission.author,
        size_bytes=sum(shard.size for shard in submission.shards),
        branch=submission.branch.alias if submission.branch else "",
    )


def write_progress(store: ObjectStore, progress: Mapping[str, StageProgress]) -> None:
    """Say how far the active submissions are, by their ids."""
    store.put(KEY, encode({"active": {name: asdict(entry) for name, entry in progress.items()}}))


def read_progress(store: ObjectStore) -> Mapping[str, StageProgress]:
    """Return how far the active submissions are, by their ids; nothing where that is damaged."""
    try:
        return validated(_ActiveOnes, store.get(KEY).data, KEY).active
    except (NotFoundError, CorruptionError):
        return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class _ActiveOnes:
    active: Mapping[str, StageProgress]
