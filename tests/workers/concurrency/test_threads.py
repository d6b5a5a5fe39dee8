"""Threads of the system: beside the event loop, in order, and with the first error."""

import asyncio
import threading

import pytest

from workers.concurrency.threads import SYSTEM_THREADS

TIMEOUT_S = 180


def test_a_call_is_made_beside_the_event_loop() -> None:
    async def run() -> tuple[int, int]:
        return await SYSTEM_THREADS.call(threading.get_ident), threading.get_ident()

    other, own = asyncio.run(run())
    assert other != own


def test_the_event_loop_goes_on_during_a_call() -> None:
    async def run() -> bool:
        may_end = threading.Event()
        calling = asyncio.create_task(SYSTEM_THREADS.call(may_end.wait, timeout=TIMEOUT_S))
        await asyncio.sleep(0)
        may_end.set()
        return await calling

    assert asyncio.run(run())


def test_as_many_as_allowed_are_done_at_once_and_the_results_keep_their_order() -> None:
    together = threading.Barrier(3)

    def one(number: int) -> int:
        together.wait(TIMEOUT_S)
        return number * number

    assert SYSTEM_THREADS.map(one, range(6), most=3) == [0, 1, 4, 9, 16, 25]


def test_the_first_error_in_the_order_of_the_items_is_raised() -> None:
    def one(number: int) -> int:
        if number:
            raise ValueError(f"item {number}")
        return number

    with pytest.raises(ValueError, match="item 1"):
        SYSTEM_THREADS.map(one, range(3), most=3)
