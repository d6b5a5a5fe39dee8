"""Turns: no request waits for all of another one, and none works for nobody."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from workers.serving.turns import TakesLongError, Turns

TIMEOUT_S = 180.0
THREADS = 2


class Work:
    """Works on words, one at a time as the test lets it; words in capitals take long."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.lock = threading.Lock()
        self.go = {True: threading.Semaphore(0), False: threading.Semaphore(0)}

    def short(self, word: str) -> str:
        if word.isupper():
            raise TakesLongError
        return self._done(word, is_long=False)

    def long(self, word: str) -> str:
        return self._done(word, is_long=True)

    def _done(self, word: str, *, is_long: bool) -> str:
        with self.lock:
            self.begun.append(word)
        assert self.go[is_long].acquire(timeout=TIMEOUT_S)
        if "bad" in word.lower():
            raise ValueError(word)
        return word + "!"

    def let(self, *, short: int = 0, long: int = 0) -> None:
        """Let so many of each end, now or later."""
        for is_long, count in ((False, short), (True, long)):
            for _ in range(count):
                self.go[is_long].release()

    async def until(self, count: int) -> None:
        """Wait until so many have begun."""
        async with asyncio.timeout(TIMEOUT_S):
            while len(self.begun) < count:
                await asyncio.sleep(0)


Scene = Callable[[Work, Turns[str, str]], Coroutine[Any, Any, None]]


def run(scene: Scene, *, threads: int = THREADS) -> None:
    async def with_parts(pool: ThreadPoolExecutor) -> None:
        work = Work()
        turns = Turns(pool, most=threads, short=work.short, long=work.long)
        try:
            await asyncio.wait_for(scene(work, turns), TIMEOUT_S)
        finally:
            work.let(short=100, long=100)

    with ThreadPoolExecutor(threads) as pool:
        asyncio.run(with_parts(pool))


def asked(turns: Turns[str, str], *words: str, requester: str = "") -> asyncio.Task[list[str]]:
    return asyncio.create_task(turns(words, requester=requester))


def test_results_come_in_the_order_of_the_items() -> None:
    async def scene(work: Work, turns: Turns[str, str]) -> None:
        work.let(short=3, long=1)
        assert await turns(["a", "B", "c", "d"]) == ["a!", "B!", "c!", "d!"]

    run(scene)


def test_nothing_asked_is_nothing_found() -> None:
    async def scene(work: Work, turns: Turns[str, str]) -> None:
        assert await turns([]) == []
        assert work.begun == []

    run(scene)


def test_requests_take_turns_item_by_item() -> None:
    async def scene(work: Work, turns: Turns[str, str]) -> None:
        first = asked(turns, "a1", "a2", "a3", "a4")
        await work.until(1)
        second = asked(turns, "b1", "b2")
        await asyncio.sleep(0)
        for count in range(2, 7):
            work.let(short=1)
            await work.until(count)
        work.let(short=1)
        await asyncio.gather(first, second)
        assert work.begun == ["a1", "a2", "b1", "a3", "b2", "a4"]

    run(scene, threads=1)


def test_one_request_waits_for_one_item_of_somebody_with_sixty_four_requests() -> None:
    async def scene(work: Work, turns: Turns[str, str]) -> None:
        loud = [asked(turns, f"a{number}", f"b{number}", requester="loud") for number in range(64)]
        await work.until(1)
        quiet = asked(turns, "q", requester="quiet")
        await asyncio.sleep(0)
        work.let(short=129)
        await asyncio.gather(quiet, *loud)
        assert work.begun.index("q") == 2

    run(scene, threads=1)


def test_a_requester_with_long_items_alone_keeps_no_turn_from_the_others() -> None:
    async def scene(work: Work, turns: Turns[str, str]) -> None:
        heavy = [asked(turns, f"A{number}", requester="loud") for number in range(8)]
        await work.until(1)
        work.let(short=2)
        assert await asked(turns, "b", "c", requester="quiet") == ["b!", "c!"]
        work.let(long=8)
        await asyncio.gather(*heavy)

    run(scene)


def test_long_items_never_have_all_of_the_threads() -> None:
    async def scene(work: Work, turns: Turns[str, str]) -> None:
        heavy = asked(turns, *(f"A{number}" for number in range(24)))
        await work.until(1)
        work.let(short=1)
        # Nothing long has ended.
        assert await turns(["b"]) == ["b!"]
        assert work.begun == ["A0", "b"]
        work.let(long=24)
        assert len(await heavy) == 24

    run(scene)


def test_neither_have_those_of_many_requests() -> None:
    async def scene(work: Work, turns: Turns[str, str]) -> None:
        heavy = [asked(turns, f"A{number}") for number in range(24)]
        await work.until(1)
        work.let(short=2)
        assert await turns(["b", "c"]) == ["b!", "c!"]
        assert [word for word in work.begun if word.isupper()] == ["A0"]
        work.let(long=24)
        await asyncio.gather(*heavy)

    run(scene)


def test_long_items_of_several_requests_take_turns() -> None:
    async def scene(work: Work, turns: Turns[str, str]) -> None:
        first = asked(turns, "A1", "A2", "A3")
        await work.until(1)
        second = asked(turns, "B1")
        await asyncio.sleep(0)
        work.let(long=4)
        await asyncio.gather(first, second)
        assert work.begun.index("B1") < work.begun.index("A3")

    run(scene)


def test_one_thread_alone_works_on_long_items_too() -> None:
    async def scene(work: Work, turns: Turns[str, str]) -> None:
        work.let(short=1, long=2)
        assert await turns(["A", "b", "C"]) == ["A!", "b!", "C!"]

    run(scene, threads=1)


def test_what_nobody_waits_for_any_more_never_begins() -> None:
    async def scene(work: Work, turns: Turns[str, str]) -> None:
        gone = asked(turns, "a1", "a2", "a3", "A4")
        await work.until(1)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        work.let(short=2)
        assert await turns(["b"]) == ["b!"]
        assert work.begun == ["a1", "b"]

    run(scene, threads=1)


def test_an_error_ends_its_request_and_no_other() -> None:
    async def scene(work: Work, turns: Turns[str, str]) -> None:
        bad = asked(turns, "bad", "a2", "a3")
        await work.until(1)
        good = asked(turns, "b")
        await asyncio.sleep(0)
        work.let(short=2)
        with pytest.raises(ValueError, match="bad"):
            await bad
        assert await good == ["b!"]
        assert work.begun == ["bad", "b"]

    run(scene, threads=1)
