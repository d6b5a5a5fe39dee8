"""Removes what is kept no longer, now and then and beside everything else."""

import asyncio
import logging
from functools import partial

from adapters.errors import NacreError
from workers.housekeeping.retention import Retention, sweep
from workers.store.base import ObjectStore

logger = logging.getLogger("nacre.coordinator")


class Sweeper:
    """Sweeps the store from time to time, in a thread.

    Args:
        store: The object store.
        retention: How long things are kept.
        every_s: Seconds between two sweeps.
    """

    # Owns: the sweep that is under way.

    def __init__(self, store: ObjectStore, retention: Retention, *, every_s: float) -> None:
        self._store = store
        self._retention = retention
        self._every_s = every_s
        self._swept_at = float("-inf")
        self._sweeping: asyncio.Task[None] | None = None

    def begin_if_due(self, now: float) -> None:
        """Begin a sweep, unless there was one lately or one is under way."""
        if now - self._swept_at >= self._every_s and self._sweeping is None:
            self._swept_at = now
            self._sweeping = asyncio.create_task(self._sweep(now))

    async def stop(self) -> None:
        """Wait until the sweep under way has ended; it may be left at any moment."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)

    async def _sweep(self, now: float) -> None:
        try:
            names = await asyncio.to_thread(partial(sweep, self._store, self._retention, now=now))
            if names:
                logger.info("images removed", extra={"submissions": names})
        except NacreError as error:
            logger.warning("nothing is removed this time: %s", error.message)
        finally:
            self._sweeping = None
