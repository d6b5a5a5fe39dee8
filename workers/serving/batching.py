"""Dynamic batching that never waits: what comes while one batch is worked on is the next.

Serve's own batching closes a batch before the one ahead of it is done. With a short window, batches
of one then queue up behind a long forward; with a long one, a lonely request waits for nobody.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from adapters.errors import UnavailableError
from workers.concurrency.supervision import is_being_cancelled
from workers.serving.fair_queue import FairQueue

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Hands items that are given one by one to `work` together, one batch after the other.

    Belongs to one event loop.

    Args:
        work: Takes items, those of one requester in the order in which they came, and returns as
            many results.
        most: Most items in a batch.
    """

    # Owns: the items that wait and the task that works, which ends when nothing waits.

    def __init__(self, work: Callable[[list[Item]], Awaitable[list[Result]]], *, most: int) -> None:
        self._work = work
        self._most = most
        self._waiting: FairQueue[tuple[Item, asyncio.Future[Result]]] = FairQueue()
        self._working: asyncio.Task[None] | None = None

    async def __call__(self, item: Item, *, requester: str = "") -> Result:
        """Return the result of `item`; whatever `work` raises is raised for all of a batch.

        Args:
            item: What is to be worked on.
            requester: For whom; requesters take turns.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.put(requester, (item, future))
        if self._working is None:
            self._working = asyncio.create_task(self._work_on())
        return await future

    async def _work_on(self) -> None:
        try:
            while batch := self._next():
                await self._answer(batch)
        finally:
            self._working = None

    def _next(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        batch: list[tuple[Item, asyncio.Future[Result]]] = []
        while self._waiting and len(batch) < self._most:
            item, future = self._waiting.take()
            if not future.done():  # whoever asked may have gone
                batch.append((item, future))
        return batch

    async def _answer(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._work([item for item, _ in batch])
        except asyncio.CancelledError:
            self._tell(batch, UnavailableError("the work on a batch was cancelled; ask again"))
            if is_being_cancelled():
                raise
            return
        except Exception as error:  # noqa: BLE001 - whoever asked is told
            self._tell(batch, error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)

    @staticmethod
    def _tell(batch: list[tuple[Item, asyncio.Future[Result]]], error: Exception) -> None:
        for _, future in batch:
            if not future.done():
                future.set_exception(error)
