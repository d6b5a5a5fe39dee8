"""Crash recovery: what a new coordinator finds in the store, and where each submission goes on."""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from adapters.errors import CorruptionError, MissingError, NotFoundError
from workers.concurrency.threads import SYSTEM_THREADS, Threads
from workers.queue.progress import ticket_of
from workers.queue.retry_policy import resumed_stage
from workers.queue.ticket import ACTIVE, Ticket
from workers.store import absent
from workers.store.base import ObjectStore
from workers.tasks.submission import PREFIX, Submission, existing_submission, submission_at_once

THREADS = 8
logger = logging.getLogger("nacre.coordinator")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovered:
    """What a new coordinator has found.

    Attributes:
        tickets: Of all submissions that are open or ended lately.
        missing: Submissions that are listed and were not to be found, with when each was written:
            they are left out until they are (`found_late`).
    """

    tickets: list[Ticket]
    missing: Mapping[str, float] = field(default_factory=dict)


def recovered(
    store: ObjectStore,
    tickets: Iterable[Ticket],
    *,
    announced: Iterable[Ticket] = (),
    threads: Threads = SYSTEM_THREADS,
) -> Recovered:
    """Return what lies in the store.

    Besides the submissions in the ledger these are some that nobody has announced: their submitter
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
    known |= {ticket.submission_id: ticket for ticket in found if isinstance(ticket, Ticket)}
    missing = [
        name
        for name, ticket in zip(unknown, found, strict=True)
        if isinstance(ticket, MissingError)
    ]
    return Recovered(
        tickets=[_resumed(ticket) for ticket in known.values()],
        missing={name: submitted[name] for name in missing},
    )


def found_late(store: ObjectStore, missing: Mapping[str, float]) -> Recovered:
    """Return those of `missing` that are there by now; each is asked for once."""
    tickets, left = [], dict(missing)
    for name, at in missing.items():
        try:
            tickets.append(_accepted(submission_at_once(store, name), at=at))
        except NotFoundError:
            continue
        except CorruptionError as error:
            logger.warning("submission %s is left out: %s", name, error.message)
        del left[name]
    return Recovered(tickets=tickets, missing=left)


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


def _unannounced(
    store: ObjectStore, submission_id: str, *, at: float
) -> Ticket | MissingError | None:
    try:
        return _accepted(existing_submission(store, submission_id, because=absent.LISTED), at=at)
    except (CorruptionError, MissingError) as error:
        # The others must go on.
        logger.warning("submission %s is left out: %s", submission_id, error.message)
        return error if isinstance(error, MissingError) else None


def _accepted(submission: Submission, *, at: float) -> Ticket:
    # The order of acceptance follows the store's clock, here as in the inbox.
    return replace(ticket_of(submission), accepted_at=at, since=at)


def _resumed(ticket: Ticket) -> Ticket:
    """Return where a ticket goes on; whatever was under way is begun again."""
    if ticket.stage not in ACTIVE:
        return ticket
    return replace(ticket, stage=resumed_stage(ticket.stage))
