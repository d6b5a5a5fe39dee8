"""Generators in threads: cancelled between two items, never inside one, and always closed."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator

import pytest

from workers.concurrency.streams import streamed

TIMEOUT_S = 180


class Numbers:
    """A generator whose items are computed when a test lets them be.

    Attributes:
        begun: Set when an item is being computed.
        may_end: Lets it be finished.
        closed: Whether the generator was closed, or ended.
        computing: Whether an item is being computed at this moment.
    """

    def __init__(self, *, wait_at: int, fails: bool = False) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.closed = False
        self.computing = False
        self._wait_at = wait_at
        self._fails = fails

    def items(self) -> Iterator[int]:
        try:
            for number in range(5):
                if number == self._wait_at:
                    self._wait()
                yield number
        finally:
            self.closed = True

    def _wait(self) -> None:
        self.computing = True
        self.begun.set()
        assert self.may_end.wait(TIMEOUT_S)
        self.computing = False
        if self._fails:
            raise ValueError("broke")


class Follower:
    """Takes the items of a stream, and notes them."""

    def __init__(self, numbers: Numbers) -> None:
        self.seen: list[int] = []
        self._numbers = numbers

    async def follow(self) -> None:
        async for number in streamed(self._numbers.items()):
            self.seen.append(number)


async def begun(numbers: Numbers) -> tuple[Follower, asyncio.Task[None]]:
    """Begin to follow, and return when the item to wait at is being computed."""
    follower = Follower(numbers)
    following = asyncio.create_task(follower.follow())
    assert await asyncio.to_thread(numbers.begun.wait, TIMEOUT_S)
    return follower, following


async def settle() -> None:
    """Let everything run that can run at once."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_items_come_in_order_and_the_generator_ends() -> None:
    numbers = Numbers(wait_at=-1)
    follower = Follower(numbers)
    asyncio.run(follower.follow())
    assert follower.seen == [0, 1, 2, 3, 4]
    assert numbers.closed


def test_items_that_are_no_generator_come_too() -> None:
    async def run() -> list[int]:
        return [number async for number in streamed(iter([1, 2]))]

    assert asyncio.run(run()) == [1, 2]


def test_the_event_loop_goes_on_while_an_item_is_computed() -> None:
    async def run() -> None:
        numbers = Numbers(wait_at=0)
        follower, following = await begun(numbers)
        assert numbers.computing
        numbers.may_end.set()
        await following
        assert follower.seen == [0, 1, 2, 3, 4]

    asyncio.run(run())


@pytest.mark.parametrize("cancellations", [1, 2, 3])
def test_who_is_cancelled_waits_for_the_running_item_and_closes_the_generator(
    cancellations: int,
) -> None:
    async def run() -> None:
        numbers = Numbers(wait_at=2)
        follower, following = await begun(numbers)
        for _ in range(cancellations):
            following.cancel()
            await settle()
            assert not following.done()
        assert (numbers.computing, numbers.closed) == (True, False)
        numbers.may_end.set()
        await asyncio.wait([following])
        assert following.cancelled()
        assert numbers.closed
        assert follower.seen == [0, 1]

    asyncio.run(run())


def test_what_breaks_while_somebody_is_cancelled_is_cancelled() -> None:
    async def run() -> None:
        numbers = Numbers(wait_at=2, fails=True)
        _, following = await begun(numbers)
        following.cancel()
        await settle()
        numbers.may_end.set()
        await asyncio.wait([following])
        assert following.cancelled()
        assert numbers.closed

    asyncio.run(run())


def test_what_breaks_is_raised_where_it_is_awaited() -> None:
    async def run() -> None:
        numbers = Numbers(wait_at=1, fails=True)
        _, following = await begun(numbers)
        numbers.may_end.set()
        with pytest.raises(ValueError, match="broke"):
            await following
        assert numbers.closed

    asyncio.run(run())


def test_who_stops_following_closes_the_generator() -> None:
    async def run() -> None:
        numbers = Numbers(wait_at=-1)
        stream = streamed(numbers.items())
        assert await anext(stream) == 0
        assert isinstance(stream, AsyncGenerator)
        await stream.aclose()
        assert numbers.closed

    asyncio.run(run())
