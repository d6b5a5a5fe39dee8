"""Work in threads: in order, and never more under way than was allowed."""

import threading
from collections.abc import Iterator

import pytest

from workers.concurrency.bounded import in_threads, pool_of

TIMEOUT_S = 180


def test_results_come_in_the_order_of_the_items() -> None:
    barrier = threading.Barrier(4, timeout=TIMEOUT_S)

    def work(item: int) -> int:
        barrier.wait()  # four at once, or none gets past this
        return item * item

    assert list(in_threads(work, range(40), threads=4, ahead=4)) == [n * n for n in range(40)]


def test_no_more_than_allowed_is_begun_before_results_are_asked_for() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    results = in_threads(lambda item: item, items(), threads=2, ahead=5)
    for done in range(1, 50):
        next(results)
        # One more is taken from the items than is begun.
        assert len(taken) <= done + 5


def test_what_fails_is_raised_where_its_result_would_be_and_the_rest_is_given_up() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 3:
            raise ValueError("three")
        return item

    results = in_threads(work, range(1_000), threads=2, ahead=4)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert len(begun) < 10


def test_an_interrupt_does_not_wait_for_a_thread_that_hangs() -> None:
    released = threading.Event()
    try:
        with pytest.raises(KeyboardInterrupt), pool_of(1) as pool:
            hanging = pool.submit(released.wait, TIMEOUT_S)
            raise KeyboardInterrupt
        assert not hanging.done()
    finally:
        released.set()


def test_anything_else_waits_until_all_threads_have_ended() -> None:
    with pytest.raises(ValueError, match="of the caller"), pool_of(2) as pool:
        done = [pool.submit(sum, range(number)) for number in range(100)]
        raise ValueError("of the caller")
    assert all(one.done() for one in done)
