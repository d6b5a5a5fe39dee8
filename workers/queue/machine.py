"""The scheduler, a state machine: events in, decisions out; no clock, no input and no output.

    accepted -> encoding -> waiting -> training -> compressing -> checking -> published | rejected
                                  any of these -> failed | cancelled

Submissions are embedded in any order, many at once. Within one adapter they are learnt one at a
time, in order of priority and then of acceptance: what is encoded ahead never overtakes, and what
waits for its next attempt holds its place until it has failed. Adapters take turns, whatever the
priorities are, so that those who submit to one of them keep no other one waiting.

The same events at the same times give the same decisions, whatever runs around this.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from workers.queue.events import (
    Accepted,
    Broke,
    Cancel,
    Decision,
    Encode,
    Event,
    Learn,
    Moved,
    Pause,
    Resume,
    Retry,
    Stop,
)
from workers.queue.line import Line
from workers.queue.retry_policy import RetryPolicy, after_failure
from workers.queue.ticket import ACTIVE, ENDED, LEARNING, Failure, Stage, Ticket

EVERY_ADAPTER = "*"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much goes on at once.

    Attributes:
        encoding: Submissions embedded at once.
        encoding_per_adapter: The same for one adapter, so that a long backlog leaves room.
        learning: Submissions learnt at once, at most one per adapter.
        retry_policy: How often and when something that failed is tried again.
    """

    encoding: int = 4
    encoding_per_adapter: int = 2
    learning: int = 1
    retry_policy: RetryPolicy = field(default_factory=RetryPolicy)


class Queue:
    """All submissions that the coordinator knows.

    Attributes:
        limits: How much goes on at once.
        paused: Adapters of which nothing new is begun; `*` stands for all.
    """

    # Owns: every field below. Tickets are values, replaced as a whole.

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.paused: frozenset[str] = frozenset()
        self._tickets: dict[str, Ticket] = {}
        self._open: defaultdict[str, Line] = defaultdict(Line)
        self._accepted: defaultdict[str, Line] = defaultdict(Line)
        self._active: set[str] = set()
        self._delayed: set[str] = set()
        self._turns: dict[str, int] = {}

    @property
    def tickets(self) -> Mapping[str, Ticket]:
        """The tickets by submission id."""
        return self._tickets

    @property
    def active(self) -> tuple[Ticket, ...]:
        """The tickets that somebody works on."""
        return tuple(self._tickets[name] for name in sorted(self._active))

    def apply(self, event: Event, *, now: float) -> tuple[Decision, ...]:
        """Take note of `event`, and return what it makes necessary at once.

        An event of a submission that is unknown or has ended changes nothing, except that `Retry`
        begins an ended one anew.
        """
        match event:
            case Accepted(ticket=ticket):
                if ticket.submission_id not in self._tickets:
                    self._put(ticket)
            case Pause(adapter=adapter):
                self.paused |= {adapter}
            case Resume(adapter=adapter):
                everything = adapter == EVERY_ADAPTER
                self.paused = frozenset() if everything else self.paused - {adapter}
            case Moved() | Broke() | Cancel() | Retry():
                known = self._tickets.get(event.submission_id)
                return self._applied(known, event, now) if known else ()
        return ()

    def decide(self, *, now: float) -> tuple[Decision, ...]:
        """Return what should be begun now, most urgent first."""
        return (*self._to_learn(now), *self._to_encode(now))

    def wake_at(self, *, now: float) -> float | None:
        """Return when the next wait after a failure ends; None where nothing waits."""
        ends = (self._tickets[name].not_before for name in self._delayed)
        return min((end for end in ends if end > now), default=None)

    def forget(self, submission_id: str) -> None:
        """Drop a ticket that has ended."""
        if self._tickets[submission_id].stage in ENDED:
            del self._tickets[submission_id]

    def _applied(
        self, ticket: Ticket, event: Moved | Broke | Cancel | Retry, now: float
    ) -> tuple[Decision, ...]:
        if ticket.stage in ENDED:
            if isinstance(event, Retry) and ticket.stage is not Stage.PUBLISHED:
                self._put(_begun_anew(ticket, now))
            return ()
        match event:
            case Retry():
                self._put(replace(ticket, not_before=0.0))
            case Cancel():
                return self._cancel(ticket, now)
            case Moved():
                self._move(ticket, event, now)
            case Broke():
                self._put(replace(self._broken(ticket, event, now), since=now))
        return ()

    def _move(self, ticket: Ticket, event: Moved, now: float) -> None:
        if event.stage in LEARNING and ticket.stage not in LEARNING:
            self._turns[ticket.adapter] = max(self._turns.values(), default=0) + 1
        self._put(
            replace(
                ticket,
                stage=event.stage,
                since=now if event.stage is not ticket.stage else ticket.since,
                # What kills its workers in a later stage comes as far as that every time.
                losses=ticket.losses if event.stage in ACTIVE else 0,
                parent=ticket.parent if event.parent is None else event.parent,
                version=ticket.version if event.version is None else event.version,
                note=event.note or ticket.note,
            )
        )

    def _broken(self, ticket: Ticket, event: Broke, now: float) -> Ticket:
        failure = Failure(stage=ticket.stage, cause=event.cause, error=event.error, at=now)
        retry_policy = self.limits.retry_policy
        return after_failure(
            ticket, failure, retry_policy=retry_policy, progressed=event.progressed
        )

    def _cancel(self, ticket: Ticket, now: float) -> tuple[Decision, ...]:
        if ticket.stage is Stage.CHECKING:
            # It may be published at this very moment: let that end, whichever way.
            self._put(replace(ticket, note="asked to be cancelled while it was being published"))
            return ()
        self._put(replace(ticket, stage=Stage.CANCELLED, since=now))
        return (Stop(submission_id=ticket.submission_id),) if ticket.stage in ACTIVE else ()

    def _put(self, ticket: Ticket) -> None:
        name, stage = ticket.submission_id, ticket.stage
        known = self._tickets.get(name)
        self._tickets[name] = ticket
        for line, belongs in (
            (self._open[ticket.adapter], stage not in ENDED),
            (self._accepted[ticket.adapter], stage is Stage.ACCEPTED),
        ):
            if known is not None:
                line.remove(known)
            if belongs:
                line.add(ticket)
        _keep(self._active, name, stage in ACTIVE)
        _keep(self._delayed, name, stage not in ENDED | ACTIVE and ticket.not_before > 0)

    def _may_begin(self, ticket: Ticket, now: float) -> bool:
        paused = {ticket.adapter, EVERY_ADAPTER} & self.paused
        return not paused and ticket.not_before <= now

    def _to_learn(self, now: float) -> Iterator[Learn]:
        learning = [ticket for ticket in self.active if ticket.stage in LEARNING]
        free = self.limits.learning - len(learning)
        busy = {ticket.adapter for ticket in learning}
        fronts = [
            self._tickets[front]
            for adapter, line in self._open.items()
            if adapter not in busy and (front := line.first()) is not None
        ]
        ready = [
            ticket
            for ticket in fronts
            if ticket.stage is Stage.WAITING and self._may_begin(ticket, now)
        ]
        ready.sort(key=lambda entry: (self._turns.get(entry.adapter, 0), -entry.priority))
        for ticket in ready[: max(0, free)]:
            yield Learn(submission_id=ticket.submission_id)

    def _to_encode(self, now: float) -> Iterator[Encode]:
        encoding = Counter(
            ticket.adapter for ticket in self.active if ticket.stage is Stage.ENCODING
        )
        nexts = {adapter: self._next_to_encode(adapter, now) for adapter in self._accepted}
        ready = {adapter: found for adapter, line in nexts.items() if (found := next(line, None))}
        for _ in range(self.limits.encoding - encoding.total()):
            below = [a for a in ready if encoding[a] < self.limits.encoding_per_adapter]
            if not below:
                return
            chosen = min(below, key=lambda a: (encoding[a], *ready[a].arrival))
            yield Encode(submission_id=ready[chosen].submission_id)
            encoding[chosen] += 1
            following = next(nexts[chosen], None)
            if following is None:
                del ready[chosen]
            else:
                ready[chosen] = following

    def _next_to_encode(self, adapter: str, now: float) -> Iterator[Ticket]:
        for name in self._accepted[adapter]:
            if self._may_begin(self._tickets[name], now):
                yield self._tickets[name]


def _keep(names: set[str], name: str, belongs: bool) -> None:
    (names.add if belongs else names.discard)(name)


def _begun_anew(ticket: Ticket, now: float) -> Ticket:
    """Return a ticket that somebody asked to be tried again after it had ended."""
    return replace(
        ticket,
        stage=Stage.ACCEPTED,
        since=now,
        round=ticket.round + 1,
        attempts=0,
        losses=0,
        not_before=0.0,
        version=None,
        earlier=ticket.version or ticket.earlier,
        note=None,
    )
