"""Time of the thread that does something, whatever else goes on on the machine."""

import time
from collections.abc import Callable


def seconds_of(work: Callable[[], None], times: int) -> float:
    """Return how long `work` takes in seconds, done so many times after a tenth as many."""
    for _ in range(times // 10):
        work()
    began = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - began) / times
