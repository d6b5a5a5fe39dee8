"""Writing tickets down as a coordinator would, without one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from workers.queue.leadership import take_leadership
from workers.queue.ledger import Ledger
from workers.queue.progress import find_state
from workers.queue.ticket import Ticket
from workers.store import ObjectStore


def set_ticket(store: ObjectStore, submission_id: str, **changes: Any) -> Ticket:
    """Write down how the ticket of a submission is now, and return it."""
    ticket = replace(find_state(store, submission_id).ticket, **changes)
    write_tickets(store, [ticket])
    return ticket


def write_tickets(store: ObjectStore, tickets: Sequence[Ticket]) -> None:
    """Write tickets down, and lead no longer."""
    lead = take_leadership(store, owner="tests", host="tests", ttl_s=0.001, now=1.0)
    Ledger(store, lead).save(tickets, now=1.0)
