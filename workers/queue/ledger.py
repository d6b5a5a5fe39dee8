"""Ledger, the queue's durable state: every ticket, in a fixed number of pages.

queue/pages/<bucket>.json            the tickets whose id falls into that bucket
submissions/<id>/state.json          the ticket of a submission that has ended, for ever

Only the coordinator that leads writes here. When it opens the ledger it writes every page anew,
under its own epoch: from then on a page that an earlier coordinator still wants to write has
another etag than it expects, and it is told so. Ended tickets stay on their page for a while, so
that a look at the queue shows them too. As long as a ticket is on its page, that alone counts.

A page costs what its tickets cost, so that a change among ten thousand of them writes some 40 kB.
"""

import hashlib
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from adapters.errors import ConflictError, CorruptionError, NotFoundError, UnknownOutcomeError
from workers.concurrency.threads import SYSTEM_THREADS, Threads
from workers.formats.documents import Count, encode, seal, unseal, validated
from workers.queue.leadership import Leadership
from workers.queue.ticket import ENDED, Ticket
from workers.queue.ticket_json import ticket_to_json
from workers.store.base import ObjectStore
from workers.tasks.submission import PREFIX

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
        beat: Rises with every writing, so that no two pages are alike.
        etag: What replacing it expects; None where it does not exist yet.
    """

    tickets: Mapping[str, Ticket]
    epoch: int = 0
    beat: int = 0
    etag: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredPage:
    epoch: Count
    beat: Count
    tickets: tuple[Ticket, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredOutcome:
    ticket: Ticket


_PAGE, _OUTCOME = TypeAdapter(_StoredPage), TypeAdapter(_StoredOutcome)


class Ledger:
    """Writes tickets down, as long as nobody else has taken the lead.

    Args:
        store: The object store.
        lead: Under which it writes.
        threads: In which it reads and writes pages.

    Raises:
        ConflictError: (by every method that writes) another coordinator has taken over.
    """

    # Owns: the pages, as they are in the store.

    def __init__(
        self, store: ObjectStore, lead: Leadership, *, threads: Threads = SYSTEM_THREADS
    ) -> None:
        self._store = store
        self._epoch = lead.epoch
        self._threads = threads
        pages = threads.map(self._taken_over, range(PAGES), most=THREADS)
        self._pages = dict(enumerate(pages))

    @property
    def tickets(self) -> list[Ticket]:
        """Every ticket that was written down, in no particular order."""
        return [ticket for page in self._pages.values() for ticket in page.tickets.values()]

    def save(self, tickets: Iterable[Ticket], *, now: float) -> list[str]:
        """Write `tickets` down; durable when this returns.

        Returns:
            The ids of tickets that ended so long ago that they have left their page.
        """
        changed = {ticket.submission_id: ticket for ticket in tickets}
        by_bucket: dict[int, dict[str, Ticket]] = {}
        for name, ticket in changed.items():
            by_bucket.setdefault(bucket_of(name), {})[name] = ticket
        pages = self._threads.map(
            lambda entry: self._turn(*entry, now=now), by_bucket.items(), most=THREADS
        )
        # Afterwards: whoever was deposed is told so by a page, and has said nothing yet.
        self._threads.map(self._keep_outcome, changed.values(), most=THREADS)
        return [name for names in pages for name in names]

    def _keep_outcome(self, ticket: Ticket) -> None:
        if ticket.stage in ENDED:
            self._store.put(state_key(ticket.submission_id), outcome_bytes(ticket))

    def _turn(self, bucket: int, changed: Mapping[str, Ticket], *, now: float) -> list[str]:
        page = self._pages[bucket]
        tickets = {**page.tickets, **changed}
        old = [name for name, ticket in tickets.items() if _is_old(ticket, now)]
        for name in old:
            # Once more: a crash may have come right after the page on which it ended.
            self._keep_outcome(tickets.pop(name))
        self._pages[bucket] = self._written(bucket, page, tickets)
        return old

    def _taken_over(self, bucket: int) -> Page:
        while True:
            page = read_page(self._store, bucket)
            if page.epoch > self._epoch:
                raise _deposed(page.epoch, self._epoch)
            try:
                return self._written(bucket, page, page.tickets)
            except (ConflictError, UnknownOutcomeError):
                continue  # the one that led before has just written it: read that

    def _written(self, bucket: int, page: Page, tickets: Mapping[str, Ticket]) -> Page:
        key, beat = page_key(bucket), page.beat + 1
        content = seal(
            {
                "epoch": self._epoch,
                "beat": beat,
                "tickets": [ticket_to_json(ticket) for ticket in tickets.values()],
            }
        )
        try:
            if page.etag is None:
                etag = self._store.create(key, content)
            else:
                etag = self._store.replace(key, content, page.etag)
        except (ConflictError, UnknownOutcomeError):
            found = read_page(self._store, bucket)
            if (found.epoch, found.beat) == (self._epoch, beat):
                # By this call; or by an earlier one, which was never told so, with less on it.
                same = found.tickets == tickets
                return found if same else self._written(bucket, found, tickets)
            if found.epoch > self._epoch:
                raise _deposed(found.epoch, self._epoch) from None
            if found.etag != page.etag:
                raise
            return self._written(bucket, page, tickets)  # it did not happen: once more
        return Page(tickets=tickets, epoch=self._epoch, beat=beat, etag=etag)


def read_page(store: ObjectStore, bucket: int) -> Page:
    """Return one page; an empty one where it does not exist yet, or is damaged.

    What a damaged page held is found again: every submission is kept on its own.
    """
    key = page_key(bucket)
    try:
        found = store.get(key)
    except NotFoundError:
        return Page(tickets={})
    what = f"{key!r} in {store.url}"
    try:
        unseal(found.data, what)
        stored = validated(_PAGE, found.data, what)
    except CorruptionError as error:
        logger.warning("page %d of the queue is made anew: %s", bucket, error.message)
        return Page(tickets={}, etag=found.etag)
    return Page(
        tickets={ticket.submission_id: ticket for ticket in stored.tickets},
        epoch=stored.epoch,
        beat=stored.beat,
        etag=found.etag,
    )


def read_pages(store: ObjectStore, *, threads: Threads = SYSTEM_THREADS) -> list[Ticket]:
    """Return the tickets of all pages, in no particular order."""
    pages = threads.map(lambda bucket: read_page(store, bucket), range(PAGES), most=THREADS)
    return [ticket for page in pages for ticket in page.tickets.values()]


def read_outcome(store: ObjectStore, submission_id: str) -> Ticket | None:
    """Return how a submission has ended; None where it has not, as far as anybody wrote down.

    Raises:
        CorruptionError: what was written down is damaged.
    """
    key = state_key(submission_id)
    try:
        content = store.get(key).data
    except NotFoundError:
        return None
    ticket = validated(_OUTCOME, content, f"{key!r} in {store.url}").ticket
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
    return f"queue/pages/{bucket:02d}.json"


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
