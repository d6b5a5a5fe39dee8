"""Attempts of one operation on a store: at most so many, and no more once they took too long.

A server that refuses at once is asked five times within some three seconds. One that is silent is
given up after `in_vain_s`, as a person waits for it, or others could take over.
"""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cluster.stores.flows.flow import FlowLimits

ATTEMPTS = 5
FIRST_WAIT_S = 0.1
WORTH_A_WORD_S = 1.0


class Attempts:
    """Counts the attempts of one operation, with those of all requests that it is made of.

    Args:
        limits: How long they may take in vain.
        sleep: Waits for some seconds between attempts.
        clock: Gives seconds that never go back.
    """

    # Owns: what the failed attempts have taken; belongs to one operation in one thread.

    def __init__(
        self,
        limits: FlowLimits,
        *,
        sleep: Callable[[float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._sleep = sleep
        self._clock = clock
        self._jitter = random.SystemRandom()
        self._failed = 0
        self._in_vain_s = 0.0

    @property
    def are_over(self) -> bool:
        """Whether they have taken so long that no further one is begun."""
        return self._in_vain_s >= self._limits.in_vain_s

    @property
    def told(self) -> str:
        """How many have failed, in how many seconds; empty where that is not worth a word."""
        if self._failed < 2 or self._in_vain_s < WORTH_A_WORD_S:
            return ""
        return f" (asked {self._failed} times in {self._in_vain_s:.0f} s)"

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Make one attempt; where it fails, note how long it took.

        What moves many bytes before it fails counts as if it had only been silent.
        """
        began = self._clock()
        try:
            yield
        except Exception:
            self._failed += 1
            self._in_vain_s += min(self._limits.silent_s, self._clock() - began)
            raise

    def rest(self, attempt: int) -> None:
        """Wait after an attempt that has failed, counted from 0; at random, up to twice as long
        each time.
        """
        self._sleep(self._jitter.uniform(0.0, FIRST_WAIT_S * 2.0**attempt))
