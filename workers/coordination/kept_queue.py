"""The queue while one coordinator leads, and the note that is taken of every change of it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from workers.coordination.queue_metrics import QueueMetrics
from workers.coordination.settings import Setup
from workers.coordination.write_behind import WriteBehind
from workers.queue.events import Accepted, Event, Stop
from workers.queue.journal import entry_of
from workers.queue.leadership import Leadership
from workers.queue.machine import Queue
from workers.queue.milestones import milestone_of
from workers.queue.ticket import Ticket
from workers.queue.traced import record_broken_off, record_stage, traced

logger = logging.getLogger("nacre.coordinator")


class KeptQueue:
    """A queue of which the write-behind keeps every change.

    Args:
        setup: Of the coordinator.
        lead: Under which the journal is written.
        write_behind: Keeps what changes.
        stop: Is told of submissions whose work has to end.
        changed: Is set by every event.

    Attributes:
        machine: The queue itself.
        metrics: What is counted of it.
    """

    # Owns: the machine. It belongs to one event loop.

    def __init__(
        self,
        setup: Setup,
        lead: Leadership,
        write_behind: WriteBehind,
        *,
        stop: Callable[[str], None],
        changed: asyncio.Event,
    ) -> None:
        self.machine = Queue(setup.limits)
        self.machine.paused = frozenset(lead.paused)
        self.metrics = QueueMetrics(setup.meter)
        self._clock = setup.clock
        self._epoch = lead.epoch
        self._tells = setup.webhooks is not None
        self._told = 0
        self._write_behind = write_behind
        self._stop = stop
        self._changed = changed

    def knows(self, name: str) -> bool:
        """Say whether a submission is in the queue."""
        return name in self.machine.tickets

    def ticket(self, name: str) -> Ticket:
        """Return where a submission is."""
        return self.machine.tickets[name]

    def remember(self, ticket: Ticket) -> None:
        """Take over a submission of which everything is written already."""
        self.machine.apply(Accepted(ticket=ticket), now=self._clock())

    def find(self, ticket: Ticket, *, known: Ticket | None) -> None:
        """Take over a submission that was found in the store.

        Args:
            ticket: Where it goes on.
            known: As it was written down; None where nobody has taken note of it before.
        """
        if known is None:
            ticket = traced(ticket)
        elif known.stage is not ticket.stage:
            record_broken_off(known, now=self._clock())
        self.remember(ticket)
        if ticket != known:
            self._write_behind.note_ticket(ticket)
        if known is None:
            self._note_milestone(None, ticket, self._clock())

    def tell(self, event: Event, *, who: str = "") -> None:
        """Tell the queue, and note what has changed; `who` asked for it, where somebody did."""
        if isinstance(event, Accepted):
            event = replace(event, ticket=traced(event.ticket))
        now, name = self._clock(), subject_of(event)
        before = self.machine.tickets.get(name) if name else None
        for decision in self.machine.apply(event, now=now):
            if isinstance(decision, Stop):
                self._stop(decision.submission_id)
        self._changed.set()
        after = self.machine.tickets.get(name) if name else None
        if after is not None and after != before:
            self._note(before, after, now)
            self._note_milestone(before, after, now, who=who)

    def _note_milestone(
        self, before: Ticket | None, after: Ticket, now: float, *, who: str = ""
    ) -> None:
        order = (self._epoch, self._told + 1)
        milestone = milestone_of(before, after, now=now, order=order, who=who)
        if self._tells and milestone is not None:
            self._told += 1
            self._write_behind.note_milestone(milestone)

    def _note(self, before: Ticket | None, after: Ticket, now: float) -> None:
        self._write_behind.note_ticket(after)
        if before is None:
            return
        entry = entry_of(before, after, now=now, epoch=self._epoch)
        self._write_behind.note_entry(after.submission_id, entry)
        self.metrics.changed(before, after, now=now)
        record_stage(before, after, now=now)
        logger.info(
            "submission %s",
            after.stage.value,
            extra={
                "submission": after.submission_id,
                "task": after.task,
                "adapter": after.adapter,
                "version": after.version,
                "trace_id": after.traceparent[3:35] or None,
                "happened": entry.message,
            },
        )
        if before.stage is not after.stage:
            self._write_behind.forget_progress(after.submission_id)


def subject_of(event: Event) -> str | None:
    """Return the submission that an event is about."""
    if isinstance(event, Accepted):
        return event.ticket.submission_id
    return getattr(event, "submission_id", None)
