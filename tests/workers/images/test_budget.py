"""Budget: never more at once than there is, and all of it again afterwards."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from workers.images.budget import Budget


def test_there_is_never_more_than_the_budget_at_once() -> None:
    budget, lock = Budget(10), threading.Lock()
    held, most = [0], [0]

    def work(amount: int) -> None:
        with budget.taking(amount):
            with lock:
                held[0] += amount
                most[0] = max(most[0], held[0])
            with lock:
                held[0] -= amount

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, [1, 9, 4, 6, 10, 3] * 200))
    assert (held[0], most[0] <= 10) == (0, True)


def test_what_is_larger_than_the_budget_has_it_alone() -> None:
    budget = Budget(10)
    with budget.taking(1_000):
        pass
    with budget.taking(10):
        pass


def test_an_error_gives_back_what_was_held() -> None:
    budget = Budget(10)
    with pytest.raises(ValueError, match="inside"), budget.taking(10):
        raise ValueError("inside")
    with budget.taking(10):
        pass


def test_a_little_is_taken_though_nothing_is_left() -> None:
    budget = Budget(10, uncounted=2)
    with budget.taking(10), budget.taking(2):
        pass
