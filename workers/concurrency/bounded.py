"""Bounded thread pools: results in order, a limit on work under way, so that memory has one, and an
end at once where a person interrupts.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import ParamSpec, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Args = ParamSpec("Args")


class ContextThreads(ThreadPoolExecutor):
    """Threads that work in the context of whoever asks them, so that they know what it is for."""

    def submit(
        self, fn: Callable[Args, Result], /, *args: Args.args, **kwargs: Args.kwargs
    ) -> Future[Result]:
        """Have a thread call `fn`."""
        context = copy_context()
        return super().submit(lambda: context.run(fn, *args, **kwargs))


@contextmanager
def pool_of(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Give a pool of so many threads, which are waited for at the end of the block.

    Not where a person interrupts the process: a thread that waits for a store which hangs would
    keep it for as long as the store is borne.
    """
    pool = ContextThreads(threads)
    try:
        yield pool
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    except BaseException:
        pool.shutdown()
        raise
    pool.shutdown()


def in_threads(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int
) -> Iterator[Result]:
    """Yield `function` of every item, in order.

    Args:
        function: Called in one of the threads; what it raises is raised here.
        items: Taken one by one, as far as they are needed.
        threads: How many.
        ahead: Most items that are begun and whose result has not been asked for.
    """
    waiting: deque[Future[Result]] = deque()
    with pool_of(threads) as pool:
        try:
            for item in items:
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
                waiting.append(pool.submit(function, item))
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
