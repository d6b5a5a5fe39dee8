"""Batches that gather while one is worked on."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from adapters.errors import UnavailableError
from workers.serving.batching import Batcher


class Slow:
    """Squares numbers, a batch at a time, when it is told to go on."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Semaphore(0)

    async def work(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        await self.go.acquire()
        if 13 in items:
            raise ValueError("thirteen")
        if 14 in items:
            raise asyncio.CancelledError
        return [item**2 for item in items]


def run(scene: Callable[[Slow, Batcher[int, int]], Coroutine[Any, Any, None]]) -> None:
    async def with_parts() -> None:
        slow = Slow()
        await scene(slow, Batcher(slow.work, most=4))

    asyncio.run(asyncio.wait_for(with_parts(), 20))


async def asked(batcher: Batcher[int, int], *items: int) -> list[asyncio.Task[int]]:
    """Return one task per item, each of which has got as far as waiting."""
    tasks = [asyncio.create_task(batcher(item)) for item in items]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


def test_an_item_alone_is_worked_on_at_once() -> None:
    async def scene(slow: Slow, batcher: Batcher[int, int]) -> None:
        (task,) = await asked(batcher, 3)
        assert slow.batches == [[3]]
        slow.go.release()
        assert await task == 9

    run(scene)


def test_what_comes_meanwhile_is_the_next_batch_and_no_larger_than_it_may_be() -> None:
    async def scene(slow: Slow, batcher: Batcher[int, int]) -> None:
        first = await asked(batcher, 1)
        rest = [task for item in range(2, 8) for task in await asked(batcher, item)]
        for _ in range(3):
            slow.go.release()
        assert await asyncio.gather(*first, *rest) == [1, 4, 9, 16, 25, 36, 49]
        assert slow.batches == [[1], [2, 3, 4, 5], [6, 7]]

    run(scene)


def test_an_error_is_told_to_its_batch_alone() -> None:
    async def scene(slow: Slow, batcher: Batcher[int, int]) -> None:
        first = await asked(batcher, 1)
        failing = await asked(batcher, 12, 13)
        slow.go.release()
        assert await asyncio.gather(*first) == [1]
        later = await asked(batcher, 4)
        slow.go.release()
        slow.go.release()
        found = await asyncio.gather(*failing, return_exceptions=True)
        assert [type(one) for one in found] == [ValueError, ValueError]
        assert await asyncio.gather(*later) == [16]

    run(scene)


def test_whose_batch_others_cancel_is_told_and_the_next_one_goes_on() -> None:
    async def scene(slow: Slow, batcher: Batcher[int, int]) -> None:
        cancelled = await asked(batcher, 14)
        later = await asked(batcher, 4)
        slow.go.release()
        slow.go.release()
        with pytest.raises(UnavailableError, match="ask again"):
            await cancelled[0]
        assert await asyncio.gather(*later) == [16]

    run(scene)


def test_whoever_has_gone_is_left_out() -> None:
    async def scene(slow: Slow, batcher: Batcher[int, int]) -> None:
        first = await asked(batcher, 1)
        gone, stays = await asked(batcher, 2, 3)
        gone.cancel()
        slow.go.release()
        slow.go.release()
        assert await asyncio.gather(*first, stays) == [1, 9]
        assert slow.batches == [[1], [3]]
        with pytest.raises(asyncio.CancelledError):
            await gone

    run(scene)


def test_it_goes_on_after_everything_was_answered() -> None:
    async def scene(slow: Slow, batcher: Batcher[int, int]) -> None:
        for item in (2, 3):
            slow.go.release()
            assert await batcher(item) == item**2
        assert slow.batches == [[2], [3]]

    run(scene)


def test_askers_take_turns_in_batches() -> None:
    async def scene(slow: Slow, batcher: Batcher[int, int]) -> None:
        first = await asked(batcher, 0)
        loud = [asyncio.create_task(batcher(n, requester="loud")) for n in range(100, 164)]
        await asyncio.sleep(0)
        quiet = asyncio.create_task(batcher(7, requester="quiet"))
        await asyncio.sleep(0)
        for _ in range(20):
            slow.go.release()
        await asyncio.gather(*first, *loud, quiet)
        assert slow.batches[1] == [100, 7, 101, 102]

    run(scene)
