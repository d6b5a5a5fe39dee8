"""Write-behind buffer: tickets, events and progress are noted at once and stored in batches.

It keeps an order of writes in which the coordinator can die at any moment.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from workers.concurrency.threads import SYSTEM_THREADS, Threads
from workers.queue.journal import JournalEntry, write_entry
from workers.queue.ledger import Ledger
from workers.queue.progress import StageProgress, write_progress
from workers.queue.ticket import Ticket
from workers.store.base import ObjectStore
from workers.webhooks.milestone import Milestone

THREADS = 8


@dataclass(kw_only=True, slots=True)
class Unsaved:
    """What the store does not have yet.

    Attributes:
        tickets: By submission id, as they are now.
        entries: Events, each with its submission's id.
        requests: Keys of requests that have been taken note of, to be removed.
        milestones: What webhooks are to be told of the tickets.
    """

    tickets: dict[str, Ticket] = field(default_factory=dict)
    entries: list[tuple[str, JournalEntry]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    milestones: list[Milestone] = field(default_factory=list)

    def copy(self) -> "Unsaved":
        """Return the same as of now."""
        return Unsaved(
            tickets=dict(self.tickets),
            entries=list(self.entries),
            requests=list(self.requests),
            milestones=list(self.milestones),
        )

    def __bool__(self) -> bool:
        return bool(self.tickets or self.entries or self.requests)


class WriteBehind:
    """Notes changes at once, and writes down many of them together."""

    # Owns: the ledger, what is not written down yet, and the progress of the active submissions.
    # All of it belongs to one event loop; threads only ever get copies.

    def __init__(
        self,
        store: ObjectStore,
        ledger: Ledger,
        clock: Callable[[], float],
        *,
        threads: Threads = SYSTEM_THREADS,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._clock = clock
        self._threads = threads
        self._unsaved = Unsaved()
        self._saved = asyncio.Event()
        self._durable = max((each.order or (0, 0) for each in ledger.milestones), default=(0, 0))
        self._progress: dict[str, StageProgress] = {}
        self._reported: dict[str, StageProgress] | None = None
        self._reported_at = 0.0

    def note_ticket(self, ticket: Ticket) -> None:
        """Note how a ticket is now."""
        self._unsaved.tickets[ticket.submission_id] = ticket

    def note_entry(self, name: str, entry: JournalEntry) -> None:
        """Note what happened to the submission called `name`."""
        self._unsaved.entries.append((name, entry))

    def note_request(self, key: str) -> None:
        """Note that a request has been taken note of."""
        self._unsaved.requests.append(key)

    def note_milestone(self, milestone: Milestone) -> None:
        """Note what webhooks are to be told, after the ticket that it is about."""
        self._unsaved.milestones.append(milestone)

    def milestones(self) -> list[Milestone]:
        """Return what webhooks are to be told: what is durable, together with all before it."""
        # A page may be written already when another one, with an earlier milestone, could not be.
        found = self._ledger.milestones
        return [each for each in found if (each.order or (0, 0)) <= self._durable]

    def recorded(self, order: tuple[int, int]) -> None:
        """Note that milestones up to `order` are recorded, and need not stand here any more."""
        self._ledger.recorded = order

    @property
    def requests(self) -> frozenset[str]:
        """Keys of requests that have been taken note of, and are not removed yet."""
        return frozenset(self._unsaved.requests)

    def note_progress(self, name: str, done: int, total: int) -> None:
        """Note how far a submission is."""
        now, known = self._clock(), self._progress.get(name)
        self._progress[name] = StageProgress(
            done=done,
            total=total,
            begun_at=known.begun_at if known else now,
            begun_with=known.begun_with if known else done,
            at=now,
        )

    def done(self, name: str) -> int:
        """Return how many units of its present stage a submission has finished."""
        return self._progress[name].done if name in self._progress else 0

    def forget_progress(self, name: str) -> None:
        """Note that nobody works on a submission, or that another stage begins."""
        self._progress.pop(name, None)

    async def durable(self, name: str) -> None:
        """Wait until everything that was noted of a ticket is in the store."""
        while name in self._unsaved.tickets:
            await self._saved.wait()

    async def save(self) -> list[str]:
        """Write down what was noted; what the store refuses now is written another time.

        Returns:
            The ids of submissions that ended so long ago that they are not to be kept in mind.

        Raises:
            ConflictError: another coordinator has taken over.
        """
        taken = self._unsaved.copy()
        if not taken:
            return []
        old = await self._threads.call(self._write, taken, self._clock())
        for name, ticket in taken.tickets.items():
            if self._unsaved.tickets.get(name) == ticket:
                del self._unsaved.tickets[name]
        del self._unsaved.entries[: len(taken.entries)]
        del self._unsaved.requests[: len(taken.requests)]
        del self._unsaved.milestones[: len(taken.milestones)]
        orders = (each.order or (0, 0) for each in taken.milestones)
        self._durable = max(orders, default=self._durable)
        self._saved.set()
        self._saved = asyncio.Event()
        return old

    async def report(self, *, every_s: float) -> None:
        """Write down how far the active submissions are, at most once in `every_s` seconds."""
        now, progress = self._clock(), dict(self._progress)
        if progress != self._reported and now - self._reported_at >= every_s:
            self._reported_at = now
            await self._threads.call(write_progress, self._store, progress)
            self._reported = progress

    def _write(self, taken: Unsaved, now: float) -> list[str]:
        tickets = taken.tickets.values()
        old = self._ledger.save(tickets, now=now, milestones=taken.milestones)
        self._threads.map(
            lambda entry: write_entry(self._store, *entry), taken.entries, most=THREADS
        )
        # Last: a request must still be there when what it asks for is lost with this process.
        self._threads.map(self._store.delete, taken.requests, most=THREADS)
        return old
