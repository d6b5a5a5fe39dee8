"""Journals of submissions, read again only when their ticket has changed, and logs of workers."""

import threading

from cachetools import LRUCache, TTLCache

from cluster.client.client import Client
from workers.logs.work_log import WorkLog
from workers.queue.journal import JournalEntry
from workers.queue.ticket import Ticket

MOST = 200
MOST_LOGS, LOGS_S = 20, 3.0
"""Submissions whose logs are kept in mind, and how long, in seconds: as workers store them."""


class Journals:
    """Knows the journals that were looked at lately. Safe between threads.

    Args:
        client: Reads them.
    """

    # Owns: `_known` and `_logs`, guarded by `_lock`.

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: LRUCache[Ticket, tuple[JournalEntry, ...]] = LRUCache(MOST)
        self._logs: TTLCache[str, tuple[WorkLog, ...]] = TTLCache(MOST_LOGS, LOGS_S)
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

    def logs_of(self, ticket: Ticket) -> tuple[WorkLog, ...]:
        """Return what workers wrote for the submission of a ticket, the oldest first."""
        with self._lock:
            found = self._logs.get(ticket.submission_id)
        if found is None:
            found = tuple(self._client.worker_logs(ticket.submission_id))
            with self._lock:
                self._logs[ticket.submission_id] = found
        return found
