"""Ledger, the queue's durable state: every ticket, in a fixed number of pages.

queue/pages/<bucket>.json            the tickets whose id falls into that bucket
submissions/<id>/state.json          the ticket of a submission that has ended, for ever

Only the coordinator that leads writes here. When it opens the ledger it writes every page anew,
under its own epoch: from then on a page that an earlier coordinator still wants to write has
another etag than it expects, and it is told so. Where a store answers with a page from before, or
one that is damaged, it is written again: under one epoch one coordinator writes, and it knows what
is on it. Ended tickets stay on their page for a while, so that a look at the queue shows them too.
As long as a ticket is on its page, that alone counts.

A page costs what its tickets cost, so that a change among ten thousand of them writes some 40 kB.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

from adapters.errors import ConflictError, CorruptionError, MissingError, NotFoundError
from workers.concurrency.threads import SYSTEM_THREADS, Threads
from workers.formats.documents import Count, encode, next_count, seal, unsealed, validated
from workers.queue import leadership
from workers.queue.leadership import Leadership, read_leadership
from workers.queue.ticket import ENDED, Ticket
from workers.queue.ticket_json import ticket_to_json
from workers.store import absent
from workers.store.base import ObjectStore
from workers.store.patience import AT_ONCE
from workers.store.serial_document import Held
from workers.store.serial_swap import SerialSwap
from workers.tasks.submission import PREFIX
from workers.webhooks.milestone import Milestone, milestone_to_json

PAGES = 64
KEPT_S = 24 * 3600.0
THREADS = 8

logger = logging.getLogger("nacre.coordinator")


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One page as it is stored.

    Attributes:
        tickets: By submission id.
        epoch: Of the lead under which it was written.
        beat: Grows by one with every writing.
        before: SHA-256 of the page that this one replaced; empty for the first, and in pages of
            the first days.
        milestones: What webhooks are to be told of these submissions, until that is recorded.
    """

    tickets: Mapping[str, Ticket]
    epoch: int = 0
    beat: int = 0
    before: str = ""
    milestones: tuple[Milestone, ...] = ()

    @property
    def serial(self) -> int:
        """The beat; 0 in pages of the first days, which nobody has ordered."""
        return self.beat if self.before else 0

    def to_bytes(self) -> bytes:
        """Return the sealed document."""
        return seal(
            {
                "epoch": self.epoch,
                "beat": self.beat,
                "tickets": [ticket_to_json(ticket) for ticket in self.tickets.values()],
                **({"before": self.before} if self.before else {}),
                **({"milestones": told} if (told := self._milestones_json()) else {}),
            }
        )

    def _milestones_json(self) -> list[dict[str, Any]]:
        return [milestone_to_json(milestone) for milestone in self.milestones]


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredPage:
    epoch: Count
    beat: Count
    tickets: tuple[Ticket, ...]
    before: str = ""
    milestones: tuple[Milestone, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredOutcome:
    ticket: Ticket


class Ledger:
    """Writes tickets down, as long as nobody else has taken the lead.

    Args:
        store: The object store.
        lead: Under which it writes.
        threads: In which it reads and writes pages.

    Attributes:
        recorded: Milestones up to this order are recorded, and leave their page when it is written.

    Raises:
        ConflictError: (by every method that writes) another coordinator has taken over.
    """

    # Owns: the pages, as they are in the store, and up to where milestones are recorded.

    def __init__(
        self, store: ObjectStore, lead: Leadership, *, threads: Threads = SYSTEM_THREADS
    ) -> None:
        self._store = store
        self._epoch = lead.epoch
        self._threads = threads
        self.recorded = (0, 0)
        self._swaps = [_swap(store, bucket) for bucket in range(PAGES)]
        pages = threads.map(self._taken_over, range(PAGES), most=THREADS)
        self._pages = dict(enumerate(pages))

    @property
    def tickets(self) -> list[Ticket]:
        """Every ticket that was written down, in no particular order."""
        pages = self._pages.values()
        return [ticket for page in pages for ticket in page.content.tickets.values()]

    @property
    def milestones(self) -> list[Milestone]:
        """Every milestone that was written down and may not be recorded, in no particular order."""
        pages = self._pages.values()
        return [
            milestone
            for page in pages
            for milestone in page.content.milestones
            if (milestone.order or (0, 0)) > self.recorded
        ]

    def save(
        self, tickets: Iterable[Ticket], *, now: float, milestones: Iterable[Milestone] = ()
    ) -> list[str]:
        """Write `tickets` down; durable when this returns.

        Args:
            tickets: As they are now.
            now: Seconds since the epoch.
            milestones: Of these tickets; each is written with its ticket, or neither is.

        Returns:
            The ids of tickets that ended so long ago that they have left their page.
        """
        changed = {ticket.submission_id: ticket for ticket in tickets}
        told = tuple(milestones)
        by_bucket: dict[int, dict[str, Ticket]] = {bucket: {} for bucket in self._unsettled}
        for name, ticket in changed.items():
            by_bucket.setdefault(bucket_of(name), {})[name] = ticket
        pages = self._threads.map(
            lambda entry: self._turn(*entry, told, now=now), by_bucket.items(), most=THREADS
        )
        # Afterwards: whoever was deposed is told so by a page, and has said nothing yet.
        self._threads.map(self._keep_outcome, changed.values(), most=THREADS)
        return [name for names in pages for name in names]

    @property
    def _unsettled(self) -> list[int]:
        """The pages that somebody in this process has seen to go back."""
        return [bucket for bucket, swap in enumerate(self._swaps) if swap.document.is_unsettled]

    def _keep_outcome(self, ticket: Ticket) -> None:
        if ticket.stage in ENDED:
            self._store.put(state_key(ticket.submission_id), outcome_bytes(ticket))

    def _turn(
        self,
        bucket: int,
        changed: Mapping[str, Ticket],
        told: Iterable[Milestone],
        *,
        now: float,
    ) -> list[str]:
        page = self._pages[bucket]
        tickets = {**page.content.tickets, **changed}
        old = [name for name, ticket in tickets.items() if _is_old(ticket, now)]
        for name in old:
            # Once more: a crash may have come right after the page on which it ended.
            self._keep_outcome(tickets.pop(name))
        # By their order: a page that was written when another one could not be is written again.
        here = (each for each in told if each.submission in changed)
        by_order = {
            each.order: each
            for each in (*page.content.milestones, *here)
            if (each.order or (0, 0)) > self.recorded
        }
        wanted = Page(tickets=tickets, milestones=tuple(by_order.values()))
        decide = partial(self._decided, lambda _found: wanted)
        self._pages[bucket] = self._swaps[bucket].change(decide, held=page)
        return old

    def _taken_over(self, bucket: int) -> Held[Page]:
        swap = self._swaps[bucket]

        def latest(found: Page) -> Page:
            # What this process has seen is of what has happened, even where the store lost it.
            seen = swap.document.seen or found
            return max(found, seen, key=lambda page: (page.epoch, page.beat))

        return swap.change(partial(self._decided, latest))

    def _decided(self, wanted: Callable[[Page], Page], held: Held[Page] | None) -> Page:
        found = held.content if held else Page(tickets={})
        if found.epoch > self._epoch:
            raise _deposed(found.epoch, self._epoch)
        beat = max(found.beat, held.above if held else 0)
        return replace(
            wanted(found),
            epoch=self._epoch,
            beat=next_count(beat, "the beat of a page of the queue"),
            before=held.digest if held else "",
        )


def read_page(store: ObjectStore, bucket: int) -> Page:
    """Return one page; an empty one where it does not exist yet, or is damaged.

    What a damaged page held is found again: every submission is kept on its own.

    Raises:
        MissingError: it exists, and is not to be found now.
    """
    page = _found_page(store, bucket)
    if page is None and _is_written(store):
        page = _existing_page(store, bucket)
    return page or Page(tickets={})


def read_pages(store: ObjectStore, *, threads: Threads = SYSTEM_THREADS) -> list[Ticket]:
    """Return the tickets of all pages, in no particular order.

    Raises:
        MissingError: a page exists, and is not to be found now.
    """
    pages = threads.map(lambda bucket: _found_page(store, bucket), range(PAGES), most=THREADS)
    denied = [bucket for bucket, page in enumerate(pages) if page is None]
    if denied and _is_written(store):
        pages += threads.map(lambda bucket: _existing_page(store, bucket), denied, most=THREADS)
    return [ticket for page in pages if page for ticket in page.tickets.values()]


def _found_page(store: ObjectStore, bucket: int) -> Page | None:
    try:
        return _swap(store, bucket).document.read().content
    except NotFoundError:
        return None


def _is_written(store: ObjectStore) -> bool:
    """Return whether pages that the store has just denied should be there: somebody has led."""
    return store.patience != AT_ONCE and read_leadership(store) is not None


def _existing_page(store: ObjectStore, bucket: int) -> Page | None:
    """Return a page that should be there; None where whoever led has died before it wrote it."""
    try:
        return _swap(store, bucket).document.read(because="somebody has led this queue").content
    except MissingError:
        if absent.is_listed(store, page_key(bucket)):
            raise
        return None


def _swap(store: ObjectStore, bucket: int) -> SerialSwap[Page]:
    return SerialSwap(store, page_key(bucket), partial(_page, bucket))


def _page(bucket: int, data: bytes, what: str) -> Page:
    try:
        stored = _decoded(data, what)
    except CorruptionError as error:
        logger.warning("page %d of the queue is made anew: %s", bucket, error.message)
        return Page(tickets={})
    return Page(
        tickets={ticket.submission_id: ticket for ticket in stored.tickets},
        epoch=stored.epoch,
        beat=stored.beat,
        before=stored.before,
        milestones=stored.milestones,
    )


@lru_cache(2 * PAGES)
def _decoded(data: bytes, what: str) -> _StoredPage:
    """Decode a page; whoever looks again and again decodes only those that have changed."""
    return unsealed(_StoredPage, data, what)


def read_outcome(store: ObjectStore, submission_id: str) -> Ticket | None:
    """Return how a submission has ended; None where it has not, as far as anybody wrote down.

    Raises:
        MissingError: it was written down, and is not to be found now.
        CorruptionError: what was written down is damaged.
    """
    key = state_key(submission_id)
    found = absent.find(store, key)
    if found is None:
        return None
    ticket = validated(_StoredOutcome, found.data, f"{key!r} in {store.url}").ticket
    if ticket.stage not in ENDED:
        raise CorruptionError(
            f"{key!r} in {store.url} is damaged: expected how {submission_id!r} has ended, found "
            f"that it is {ticket.stage.value}",
            key=key,
        )
    return ticket


def outcome_bytes(ticket: Ticket) -> bytes:
    """Return the document that says how a submission has ended."""
    return encode({"ticket": ticket_to_json(ticket)})


def bucket_of(submission_id: str) -> int:
    """Return the number of the page that a submission's ticket is on."""
    # Names that people type may be no text; that there is no such submission is said later.
    return hashlib.sha256(submission_id.encode("utf-8", "surrogatepass")).digest()[0] % PAGES


def page_key(bucket: int) -> str:
    """Return where a page is stored."""
    return f"{leadership.PAGES}{bucket:02d}.json"


def state_key(submission_id: str) -> str:
    """Return where it is kept how a submission has ended."""
    return f"{PREFIX}{submission_id}/state.json"


def _is_old(ticket: Ticket, now: float) -> bool:
    return ticket.stage in ENDED and ticket.since < now - KEPT_S


def _deposed(found: int, epoch: int) -> ConflictError:
    return ConflictError(
        f"the queue is led by another coordinator: expected epoch {epoch}, found {found}; this one "
        "steps back",
        epoch=epoch,
        found=found,
    )
