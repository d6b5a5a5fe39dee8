"""Crash recovery: what a new coordinator finds in the store, and where each submission goes on."""

import logging
from collections.abc import Iterable
from dataclasses import replace

from adapters.errors import CorruptionError, NotFoundError
from workers.concurrency.threads import SYSTEM_THREADS, Threads
from workers.queue.progress import ticket_of
from workers.queue.retry_policy import resumed_stage
from workers.queue.ticket import ACTIVE, Ticket
from workers.store.base import ObjectStore
from workers.tasks.submission import PREFIX, read_submission

THREADS = 8
logger = logging.getLogger("nacre.coordinator")


def recovered(
    store: ObjectStore,
    tickets: Iterable[Ticket],
    *,
    announced: Iterable[Ticket] = (),
    threads: Threads = SYSTEM_THREADS,
) -> list[Ticket]:
    """Return the tickets of all submissions that are open or ended lately.

    Besides those in the ledger these are submissions that nobody has announced: their submitter
    died in between, or a page was damaged.

    Args:
        store: The object store.
        tickets: What the ledger holds.
        announced: What lies in the inbox.
        threads: In which submissions are read.
    """
    submitted, decided = _listed(store)
    new = (ticket for ticket in announced if ticket.submission_id not in decided)
    known = {ticket.submission_id: ticket for ticket in (*new, *tickets)}
    unknown = [name for name in submitted if name not in known and name not in decided]
    found = threads.map(
        lambda name: _unannounced(store, name, at=submitted[name]), unknown, most=THREADS
    )
    known |= {ticket.submission_id: ticket for ticket in found if ticket}
    return [_resumed(ticket) for ticket in known.values()]


def _listed(store: ObjectStore) -> tuple[dict[str, float], set[str]]:
    """Return when each submission was written, and the ids of those with an outcome."""
    submitted, decided = {}, set()
    for listed in store.list(PREFIX):
        name, _, kind = listed.key.removeprefix(PREFIX).partition("/")
        if kind == "submission.json":
            submitted[name] = listed.modified
        elif kind == "state.json":
            decided.add(name)
    return submitted, decided


def _unannounced(store: ObjectStore, submission_id: str, *, at: float) -> Ticket | None:
    try:
        ticket = ticket_of(read_submission(store, submission_id))
        # The order of acceptance follows the store's clock, here as in the inbox.
        return replace(ticket, accepted_at=at, since=at)
    except (CorruptionError, NotFoundError) as error:
        # The others must go on.
        logger.warning("submission %s is left out: %s", submission_id, error.message)
        return None


def _resumed(ticket: Ticket) -> Ticket:
    """Return where a ticket goes on; whatever was under way is begun again."""
    if ticket.stage not in ACTIVE:
        return ticket
    return replace(ticket, stage=resumed_stage(ticket.stage))
