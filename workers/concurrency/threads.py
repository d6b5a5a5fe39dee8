"""The one way from an event loop into threads, so that a simulation can do without them."""

import asyncio
from collections.abc import Callable, Iterable
from typing import ParamSpec, Protocol, TypeVar

from workers.concurrency.bounded import pool_of

Item = TypeVar("Item")
Result = TypeVar("Result")
Args = ParamSpec("Args")


class Threads(Protocol):
    """Where blocking work is done.

    A caller that is cancelled does not wait for what it has called, which goes on to its end.
    """

    async def call(
        self, function: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        """Return what `function` returns, and let the event loop go on meanwhile."""

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], *, most: int
    ) -> list[Result]:
        """Return `function` of every item, in order; the caller waits.

        Args:
            function: What it raises first, in the order of the items, is raised here.
            items: All of them are begun.
            most: How many at once.
        """


class SystemThreads:
    """Threads of the operating system."""

    async def call(
        self, function: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        """See `Threads`."""
        return await asyncio.to_thread(function, *args, **kwargs)

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], *, most: int
    ) -> list[Result]:
        """See `Threads`."""
        with pool_of(most) as pool:
            return list(pool.map(function, items))


SYSTEM_THREADS = SystemThreads()
