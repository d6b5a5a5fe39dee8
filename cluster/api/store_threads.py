"""Threads for requests that wait for the store, apart from those that all else needs.

While a store hangs, each such request holds a thread for as long as the store is borne. Were they
those of the event loop, nothing would be left for health, status and predictions.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from workers.concurrency.bounded import ContextThreads

THREADS = 32
Args = ParamSpec("Args")
Result = TypeVar("Result")


class StoreThreads:
    """A pool of threads; a request that finds none free waits, until its own time is over.

    Args:
        most: How many; as many as requests may be under way, so that whoever has slow ones leaves
            threads for others.
    """

    # Owns: the threads, which begin when they are first needed.

    def __init__(self, most: int = THREADS) -> None:
        self._pool = ContextThreads(most, "store")

    async def __call__(
        self, function: Callable[Args, Result], *args: Args.args, **more: Args.kwargs
    ) -> Result:
        """Return what `function` returns; whoever is cancelled meanwhile does not wait for it."""
        work = partial(function, *args, **more)
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
