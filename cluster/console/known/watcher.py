"""One poller for all who look: it reads the store again and again, and tells of changes."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

from cluster.console.known.snapshot import Snapshot

POLL_S = 1.0
IDLE_POLL_S = 5.0
"""While nobody looks."""
LOOKED_AT_S = 30.0
"""So long after a request somebody may still look."""

logger = logging.getLogger("nacre.console")


class Watcher:
    """Knows the latest snapshot. Belongs to one event loop.

    Args:
        read: Returns what there is now, given what was known before; called in a thread, by one
            caller at a time.
        clock: Gives seconds that never go back.
    """

    # Owns: the snapshot, the thread that reads, and the task that polls.

    def __init__(
        self,
        read: Callable[[Snapshot], Snapshot],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._clock = clock
        self._known = Snapshot()
        self._thread = ThreadPoolExecutor(1, "console")
        self._reading = asyncio.Lock()
        self._changed = asyncio.Condition()
        self._poller: asyncio.Task[None] | None = None
        self._looked_at = 0.0
        self._has_ended = False
        self.viewers = 0

    async def known(self) -> Snapshot:
        """Return what is known; of the first call, once it has been read."""
        self._looked_at = self._clock()
        if self._poller is None:
            self._poller = asyncio.create_task(self._poll())
        if not self._known.at:
            return await self.fresh()
        return self._known

    async def fresh(self) -> Snapshot:
        """Return what there is from now on, such as after a change that was made here."""
        async with self._reading:
            loop, before = asyncio.get_running_loop(), self._known
            found = await loop.run_in_executor(self._thread, self._read, before)
            self._known = found
        if found.revision != before.revision:
            async with self._changed:
                self._changed.notify_all()
        return found

    async def changes(self, *, after: int, at_most_s: float) -> AsyncIterator[Snapshot | None]:
        """Yield each snapshot later than revision `after`; None where there was none for a while.

        Args:
            after: The revision that is known.
            at_most_s: So long is waited for one, in seconds.
        """
        self.viewers += 1
        try:
            while not self._has_ended:
                self._looked_at = self._clock()
                if self._known.revision == after:
                    found = await self._next(after, at_most_s)
                else:
                    found = self._known
                if found is not None:
                    after = found.revision
                if not self._has_ended:
                    yield found
        finally:
            self.viewers -= 1

    async def _next(self, after: int, at_most_s: float) -> Snapshot | None:
        try:
            async with asyncio.timeout(at_most_s), self._changed:
                await self._changed.wait_for(
                    lambda: self._known.revision != after or self._has_ended
                )
                return None if self._has_ended else self._known
        except TimeoutError:
            return None

    async def stop(self) -> None:
        """End the polling, and all streams of changes."""
        async with self._changed:
            self._has_ended = True
            self._changed.notify_all()
        if self._poller is not None:
            self._poller.cancel()
            self._poller = None
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _poll(self) -> None:
        while True:
            watched = self.viewers or self._clock() - self._looked_at < LOOKED_AT_S
            await asyncio.sleep(POLL_S if watched else IDLE_POLL_S)
            try:
                await self.fresh()
            except Exception:
                logger.exception("the console could not read what there is")
