"""Turns of requests: an item of each requester and of each of their requests in turn.

Long items are never in all of the threads.

In the order of arrival one request with 24 pictures of 49 megapixels makes everybody else wait for
half a minute, and 24 requests with one of them do the same. Here whoever has short work waits for
one short item of each other requester, whatever else there is.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, Generic, TypeVar

from workers.serving.fair_queue import FairQueue

Item = TypeVar("Item")
Result = TypeVar("Result")


class TakesLongError(Exception):
    """An item is not short; it gets its turn among the long ones."""


class Turns(Generic[Item, Result]):
    """Works on the items of several requests, in a few threads.

    Belongs to one event loop.

    Args:
        threads: Do the work.
        most: How many there are. One of them, where there are several, never works on long items.
        short: Works on an item, or raises `TakesLongError` before it has done much.
        long: Works on an item that takes long.
    """

    # Owns: the requests that have items left, by requester and in the order of their turns, and who
    # works on what.

    def __init__(
        self,
        threads: Executor,
        *,
        most: int,
        short: Callable[[Item], Result],
        long: Callable[[Item], Result],
    ) -> None:
        self._threads = threads
        self._short = short
        self._long = long
        self._free = most
        self._free_for_long = max(1, most - 1)
        self._waiting: FairQueue[_Request[Item, Result]] = FairQueue()

    async def __call__(self, items: Sequence[Item], *, requester: str = "") -> list[Result]:
        """Return the results of `items`, in their order.

        Raises the first error of any of them. Then, and when whoever waits has gone, what has not
        begun never begins.

        Args:
            items: What is to be worked on.
            requester: For whom.
        """
        request: _Request[Item, Result] = _Request(items, requester)
        self._waiting.put(requester, request)
        self._begin()
        try:
            return await request.results
        finally:
            request.give_up()

    def _begin(self) -> None:
        """Begin as many items as there are threads for."""
        while self._free and (found := self._next()):
            request, number, is_long = found
            self._free -= 1
            self._free_for_long -= is_long
            work = self._long if is_long else self._short
            running = asyncio.get_running_loop().run_in_executor(
                self._threads, work, request.items[number]
            )
            running.add_done_callback(partial(self._ended, request, number, is_long))

    def _next(self) -> "tuple[_Request[Item, Result], int, bool] | None":
        """Return an item that may begin, of the requester whose turn it is; they go last then."""
        for requester in self._waiting.turns():
            found = self._next_of(self._waiting.line(requester))
            self._waiting.moved_on(requester)
            if found is not None:
                return found
        return None

    def _next_of(
        self, requests: "deque[_Request[Item, Result]]"
    ) -> "tuple[_Request[Item, Result], int, bool] | None":
        """Return an item that may begin, of the request whose turn it is; it goes last then."""
        for _ in range(len(requests)):
            request = requests.popleft()
            if not (request.short or request.long):
                continue  # nothing left, or given up
            requests.append(request)
            if request.short:
                return request, request.short.popleft(), False
            if self._free_for_long:
                return request, request.long.popleft(), True
        return None

    def _ended(
        self,
        request: "_Request[Item, Result]",
        number: int,
        is_long: bool,
        running: asyncio.Future[Result],
    ) -> None:
        self._free += 1
        self._free_for_long += is_long
        error = asyncio.CancelledError() if running.cancelled() else running.exception()
        if isinstance(error, TakesLongError):
            request.put_off(number)
            if not self._waiting.has(request.requester, request):
                self._waiting.put(request.requester, request)
        else:
            request.note(number, None if error else running.result(), error)
        self._begin()


class _Request(Generic[Item, Result]):
    """The items of one request, by their numbers.

    Attributes:
        items: All of them.
        requester: For whom.
        short: Those that have not begun.
        long: Those that have turned out to take long.
        results: What the request waits for.
    """

    def __init__(self, items: Sequence[Item], requester: str) -> None:
        self.items = items
        self.requester = requester
        self.short = deque(range(len(items)))
        self.long: deque[int] = deque()
        self.results: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        self._found: dict[int, Any] = {}
        self._answer_if_whole()

    def note(self, number: int, result: Result | None, error: BaseException | None) -> None:
        """Keep the result of an item, or end the request with its error."""
        if self.results.done():
            return
        if error is not None:
            self.results.set_exception(error)
            self.give_up()
            return
        self._found[number] = result
        self._answer_if_whole()

    def put_off(self, number: int) -> None:
        """Let an item wait among the long ones, as long as anybody waits for it."""
        if not self.results.done():
            self.long.append(number)

    def give_up(self) -> None:
        """Forget what has not begun."""
        self.short.clear()
        self.long.clear()

    def _answer_if_whole(self) -> None:
        if len(self._found) == len(self.items):
            self.results.set_result([self._found[number] for number in range(len(self.items))])
