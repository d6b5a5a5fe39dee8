"""Generators in threads: long work that an event loop consumes as an asynchronous stream."""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import suppress
from typing import Any, TypeVar

from workers.concurrency.threads import SYSTEM_THREADS, Threads

Item = TypeVar("Item")
_END = object()


async def streamed(
    items: Iterator[Item], *, threads: Threads = SYSTEM_THREADS
) -> AsyncIterator[Item]:
    """Yield `items`, each computed in a thread.

    Whoever is cancelled while waiting for one waits until it is finished, however often, since a
    thread cannot be interrupted; then the iterator is closed.
    """
    try:
        while True:
            waiting = asyncio.ensure_future(threads.call(next, items, _END))
            try:
                item: Any = await asyncio.shield(waiting)
            except asyncio.CancelledError:
                await _finished(waiting)
                raise
            if item is _END:
                return
            yield item
    finally:
        if isinstance(items, Generator):
            items.close()


async def _finished(waiting: asyncio.Future[Any]) -> None:
    while not waiting.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([waiting])
