"""Crash recovery: what a new coordinator finds in the store, and where each submission goes on.

queue/adopted.json    there once all states that an earlier release wrote have been looked into
"""

import logging
from collections.abc import Iterable
from dataclasses import replace

from adapters.errors import CorruptionError, NotFoundError
from workers.concurrency.threads import SYSTEM_THREADS, Threads
from workers.formats.documents import encode
from workers.queue.ledger import read_outcome
from workers.queue.progress import ticket_of
from workers.queue.retry_policy import resumed_stage
from workers.queue.ticket import ACTIVE, Ticket
from workers.store.base import ObjectStore
from workers.tasks.submission import PREFIX, read_submission

ADOPTED = "queue/adopted.json"
THREADS = 8
logger = logging.getLogger("nacre.coordinator")


def recovered(
    store: ObjectStore,
    tickets: Iterable[Ticket],
    *,
    announced: Iterable[Ticket] = (),
    first: bool,
    threads: Threads = SYSTEM_THREADS,
) -> list[Ticket]:
    """Return the tickets of all submissions that are open or ended lately.

    Besides those in the ledger these are submissions that nobody has announced: their submitter
    died in between, or a page was damaged.

    Args:
        store: The object store.
        tickets: What the ledger holds.
        announced: What lies in the inbox.
        first: Whether nobody has looked into the states that an earlier release wrote.
        threads: In which submissions are read.
    """
    submitted, decided = _listed(store)
    new = (ticket for ticket in announced if ticket.submission_id not in decided)
    known = {ticket.submission_id: ticket for ticket in (*new, *tickets)}
    unknown = [name for name in submitted if name not in known and (first or name not in decided)]
    found = threads.map(
        lambda name: _adopted(store, name, at=submitted[name]), unknown, most=THREADS
    )
    known |= {ticket.submission_id: ticket for ticket in found if ticket}
    return [_resumed(ticket) for ticket in known.values()]


def were_adopted(store: ObjectStore) -> bool:
    """Return whether all states that an earlier release wrote have been looked into."""
    try:
        store.get(ADOPTED)
    except NotFoundError:
        return False
    return True


def note_adopted(store: ObjectStore) -> None:
    """Note that what an earlier release wrote is in the ledger now."""
    store.put(ADOPTED, encode({}))


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


def _adopted(store: ObjectStore, submission_id: str, *, at: float) -> Ticket | None:
    try:
        outcome = _outcome(store, submission_id)
        if outcome is not None:
            return outcome
        ticket = ticket_of(read_submission(store, submission_id))
        # The order of acceptance follows the store's clock, here as in the inbox.
        return replace(ticket, accepted_at=at, since=at)
    except (CorruptionError, NotFoundError) as error:
        # The others must go on.
        logger.warning("submission %s is left out: %s", submission_id, error.message)
        return None


def _outcome(store: ObjectStore, submission_id: str) -> Ticket | None:
    try:
        return read_outcome(store, submission_id)
    except CorruptionError as error:
        logger.warning("the outcome of %s is found out anew: %s", submission_id, error.message)
        return None


def _resumed(ticket: Ticket) -> Ticket:
    """Return where a ticket goes on; whatever was under way is begun again."""
    if ticket.stage not in ACTIVE:
        return ticket
    return replace(ticket, stage=resumed_stage(ticket.stage))
