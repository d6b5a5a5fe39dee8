"""The embedding thread of a replica: one job after the other, and how long this one has taken.

A forward that never ends, as a device that hangs makes it, cannot be interrupted. What can be done
is to know it, so that another replica takes over.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

Result = TypeVar("Result")


class EmbeddingThread:
    """Runs what embeds, one after the other.

    Args:
        helpers: Threads that a matrix product takes.
        clock: Gives seconds that never go back.
    """

    # Owns: the thread, and since when it has been at its job; that is one reference, written by
    # the thread alone and read by whoever asks.

    def __init__(self, *, helpers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None
        self._pool = ThreadPoolExecutor(1, "embedding")
        self._pool.submit(torch.set_num_threads, helpers).result()

    async def __call__(self, work: Callable[..., Result], *args: Any) -> Result:
        """Return what `work` returns, once it has had its turn."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, self._timed, work, *args
        )

    @property
    def under_way_s(self) -> float:
        """For how many seconds the present job has been under way; 0 where there is none."""
        since = self._since
        return 0.0 if since is None else self._clock() - since

    def _timed(self, work: Callable[..., Result], *args: Any) -> Result:
        self._since = self._clock()
        try:
            return work(*args)
        finally:
            self._since = None
