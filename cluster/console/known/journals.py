"""Journals of submissions, read again only when their ticket has changed."""

import threading

from cachetools import LRUCache

from cluster.client.client import Client
from workers.queue.journal import JournalEntry
from workers.queue.ticket import Ticket

MOST = 200


class Journals:
    """Knows the journals that were looked at lately. Safe between threads.

    Args:
        client: Reads them.
    """

    # Owns: `_known`, guarded by `_lock`.

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: LRUCache[Ticket, tuple[JournalEntry, ...]] = LRUCache(MOST)
        self._lock = threading.Lock()

    def of(self, ticket: Ticket) -> tuple[JournalEntry, ...]:
        """Return what has happened to the submission of a ticket, the oldest first."""
        with self._lock:
            found = self._known.get(ticket)
        if found is None:
            found = tuple(self._client.journal(ticket.submission_id))
            with self._lock:
                self._known[ticket] = found
        return found
