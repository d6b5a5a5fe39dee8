"""The queue as a pure state machine: events in, decisions out, no clock and no input or output.

    accepted -> encoding -> waiting -> training -> compressing -> checking -> published
                                  any of these -> failed | rejected | cancelled

Submissions are encoded in any order, many at once; within one adapter they are learnt one at a
time, in order of priority and then of acceptance. Encoding ahead never overtakes: a submission is
trained only when every earlier one of its adapter has ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class Stage(StrEnum):
    """Where a submission is on its way."""

    ACCEPTED = "accepted"
    ENCODING = "encoding"
    WAITING = "waiting"
    TRAINING = "training"
    COMPRESSING = "compressing"
    CHECKING = "checking"
    PUBLISHED = "published"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({Stage.PUBLISHED, Stage.REJECTED, Stage.FAILED, Stage.CANCELLED})
LEARNING = frozenset({Stage.TRAINING, Stage.COMPRESSING, Stage.CHECKING})


@dataclass(frozen=True, kw_only=True, slots=True)
class Ticket:
    """One submission's place in the queue.

    Attributes:
        submission_id: Names the submission.
        task: Name of its task.
        adapter: The adapter that it grows.
        accepted_at: Seconds since the epoch; first come, first served.
        priority: Higher goes first.
        stage: Where it is.
        attempts: How often a stage of it has failed.
        version: The version that it was published as.
        error: Why its last attempt failed.
    """

    submission_id: str
    task: str
    adapter: str
    accepted_at: float
    priority: int = 0
    stage: Stage = Stage.ACCEPTED
    attempts: int = 0
    version: int | None = None
    error: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """A submission has become durable."""

    ticket: Ticket


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """A submission has reached a stage."""

    submission_id: str
    stage: Stage
    version: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Broke:
    """A stage has failed.

    Attributes:
        submission_id: Whose.
        error: Why.
        final: Trying again cannot help.
        counted: It counts as an attempt; losing a machine does not.
    """

    submission_id: str
    error: str
    final: bool = False
    counted: bool = True


Event = Accepted | Moved | Broke


@dataclass(frozen=True, kw_only=True, slots=True)
class Encode:
    """Start to embed the images of a submission."""

    submission_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Learn:
    """Start to train, compress, check and publish a submission."""

    submission_id: str


Decision = Encode | Learn


@dataclass(frozen=True, kw_only=True, slots=True)
class Queue:
    """All submissions that the coordinator knows, and its limits.

    Attributes:
        tickets: By submission id.
        encode_ahead: Most submissions that are embedded at once.
        max_attempts: A submission is set aside after so many failures.
    """

    tickets: Mapping[str, Ticket] = field(default_factory=dict)
    encode_ahead: int = 2
    max_attempts: int = 3

    def apply(self, event: Event) -> "Queue":
        """Return the queue after `event`; an event that changes nothing returns an equal queue."""
        if isinstance(event, Accepted):
            known = event.ticket.submission_id in self.tickets
            return self if known else self._with(event.ticket)
        ticket = self.tickets[event.submission_id]
        if ticket.stage in ENDED:
            return self
        if isinstance(event, Moved):
            return self._with(replace(ticket, stage=event.stage, version=event.version))
        return self._with(self._broken(ticket, event))

    def decide(self) -> tuple[Decision, ...]:
        """Return what should be started now, most urgent first."""
        return self._learn() + self._encode()

    def _with(self, ticket: Ticket) -> "Queue":
        return replace(self, tickets={**self.tickets, ticket.submission_id: ticket})

    def _broken(self, ticket: Ticket, event: Broke) -> Ticket:
        attempts = ticket.attempts + event.counted
        give_up = event.final or (event.counted and attempts >= self.max_attempts)
        # Features are kept, so what broke while learning is learnt again and not embedded again.
        again = Stage.WAITING if ticket.stage in LEARNING else Stage.ACCEPTED
        return replace(
            ticket,
            stage=Stage.FAILED if give_up else again,
            attempts=attempts,
            error=event.error,
        )

    def _open(self) -> list[Ticket]:
        tickets = [ticket for ticket in self.tickets.values() if ticket.stage not in ENDED]
        return sorted(
            tickets, key=lambda ticket: (-ticket.priority, ticket.accepted_at, ticket.submission_id)
        )

    def _learn(self) -> tuple[Learn, ...]:
        front: dict[str, Ticket] = {}
        for ticket in self._open():
            front.setdefault(ticket.adapter, ticket)
        busy = {ticket.adapter for ticket in self._open() if ticket.stage in LEARNING}
        return tuple(
            Learn(submission_id=ticket.submission_id)
            for adapter, ticket in front.items()
            if ticket.stage is Stage.WAITING and adapter not in busy
        )

    def _encode(self) -> tuple[Encode, ...]:
        under_way = sum(ticket.stage is Stage.ENCODING for ticket in self.tickets.values())
        ready = [ticket for ticket in self._open() if ticket.stage is Stage.ACCEPTED]
        return tuple(
            Encode(submission_id=ticket.submission_id)
            for ticket in ready[: max(0, self.encode_ahead - under_way)]
        )
