"""Requests as a coordinator takes them in: wishes in the inbox, and submissions that come late."""

import logging
from collections.abc import Mapping

from adapters.errors import CorruptionError, InputError, MissingError
from workers.coordination.kept_queue import KeptQueue, subject_of
from workers.coordination.recovery import found_late
from workers.coordination.settings import Setup
from workers.coordination.write_behind import WriteBehind
from workers.queue import inbox
from workers.queue.events import Accepted, Event
from workers.queue.ledger import read_outcome

REQUESTS_AT_ONCE = 1000
logger = logging.getLogger("nacre.coordinator")


class Requests:
    """Tells a queue what comes in through the store.

    Args:
        setup: Of the coordinator.
        queue: Is told.
        write_behind: Knows which requests have been taken note of.
        missing: Submissions that were listed and not found, as `recovered` says.
    """

    def __init__(
        self,
        setup: Setup,
        queue: KeptQueue,
        write_behind: WriteBehind,
        *,
        missing: Mapping[str, float],
    ) -> None:
        self._setup = setup
        self._store = setup.store
        self._threads = setup.threads
        self._queue = queue
        self._write_behind = write_behind
        self._missing = missing
        self._asked_again_at = 0.0

    async def read(self) -> None:
        """Tell the queue of the oldest requests that nobody has taken note of."""
        listed = await self._threads.call(inbox.waiting, self._store)
        noted = self._write_behind.requests
        fresh = [entry for entry in listed if entry.key not in noted]
        requests = await self._threads.call(
            inbox.read, self._store, fresh[:REQUESTS_AT_ONCE], threads=self._threads
        )
        for request in requests:
            if isinstance(request, CorruptionError):
                logger.warning("a request is passed over: %s", request.message)
                self._write_behind.note_request(str(request.fields["key"]))
                continue
            if isinstance(request, MissingError):
                # Those behind it wait, too: a wish must not come before what it is about.
                logger.warning("a request waits: %s", request.message)
                return
            await self._remember(request.event)
            self._queue.tell(request.event, who=request.who)
            self._write_behind.note_request(request.key)

    async def look_for_missing(self, now: float) -> None:
        """Accept submissions that were listed at the beginning and are to be found only now."""
        if self._missing and now - self._asked_again_at >= self._setup.intervals.step_back_s:
            self._asked_again_at = now
            found = await self._threads.call(found_late, self._store, self._missing)
            for ticket in found.tickets:
                self._queue.tell(Accepted(ticket=ticket))
            self._missing = found.missing

    async def _remember(self, event: Event) -> None:
        """Find out how a submission has ended that nobody has had in mind for long."""
        name = subject_of(event)
        if name is None or self._queue.knows(name):
            return
        try:
            outcome = await self._threads.call(read_outcome, self._store, name)
        except (CorruptionError, InputError) as error:
            logger.warning("nobody knows how %r has ended: %s", name, error.message)
            return
        if outcome is not None:
            self._queue.remember(outcome)
