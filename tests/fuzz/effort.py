"""How much is tried: a few seconds each in `make test`, as long as somebody likes by hand.

    NACRE_FUZZ_SECONDS=60 .venv/bin/python -m pytest tests/fuzz

Without the variable the examples are the same every time, so that nothing fails by chance. With it
each test goes on with other ones for so many seconds; what has failed is kept in `.hypothesis` and
tried first the next time.
"""

import os
import time
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

SECONDS = "NACRE_FUZZ_SECONDS"
Example = TypeVar("Example")


def try_all(
    check: Callable[[Example], None], examples: SearchStrategy[Example], *, count: int
) -> None:
    """Call `check` with `count` examples, or with new ones for as long as is asked for."""
    seconds = float(os.environ.get(SECONDS, "0"))
    end = time.monotonic() + seconds
    while True:

        @settings(
            max_examples=count,
            derandomize=not seconds,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(examples)
        def once(example: Example) -> None:
            check(example)

        once()
        if time.monotonic() >= end:
            return
