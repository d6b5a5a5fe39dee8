"""Races: several writers change one key at once, under a condition that holds for one of them."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from adapters.errors import (
    ConflictError,
    NacreError,
    NotFoundError,
    UnavailableError,
    UnknownOutcomeError,
)

Attempt = Callable[[int], object]
"""Called with the number of the racer; loses by raising ConflictError or NotFoundError."""

LOST = (ConflictError, NotFoundError)
DOUBTS = (UnavailableError, UnknownOutcomeError)
"""What a racer is told who has neither won nor lost for certain."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How one race has ended.

    Attributes:
        won: What each winner was answered: the etag of its write.
        lost: How many were told that the condition does not hold.
        doubts: What kept the others from being told, one each.
    """

    won: tuple[object, ...]
    lost: int
    doubts: tuple[NacreError, ...]


class Racers:
    """Threads that race again and again, so that the connections that they opened stay open.

    Args:
        count: How many.
    """

    # Owns: its threads. The barrier is aborted before they are joined, so that none of them waits
    # for racers that never come.

    def __init__(self, count: int) -> None:
        self._count = count
        self._barrier = threading.Barrier(count)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="racer")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._barrier.abort()
        self._threads.shutdown(cancel_futures=True)

    def race(self, attempts: Sequence[Attempt]) -> list[Outcome]:
        """Run one race for each of `attempts`, all at once, and return how each has ended.

        Args:
            attempts: As many racers make each; their number divides that of the racers.

        Raises:
            Exception: What an attempt raised that is neither a loss nor a doubt.
        """
        each = self._count // len(attempts)
        running = [
            [self._threads.submit(self._run, attempt, number) for number in range(each)]
            for attempt in attempts
        ]
        return [_outcome([future.result() for future in racers]) for racers in running]

    def each(self, calls: Sequence[Callable[[], object]]) -> None:
        """Make all `calls`, beside each other."""
        for future in [self._threads.submit(call) for call in calls]:
            future.result()

    def _run(self, attempt: Attempt, number: int) -> object:
        self._barrier.wait()
        try:
            return attempt(number)
        except (*LOST, *DOUBTS) as error:
            return error


def race(attempt: Attempt, racers: int) -> int:
    """Let `racers` threads call `attempt` with their number at once; return how many won.

    An attempt loses by raising ConflictError, or NotFoundError; other errors are raised.
    """
    with Racers(racers) as threads:
        (outcome,) = threads.race([attempt])
    for doubt in outcome.doubts:
        raise doubt
    return len(outcome.won)


def _outcome(answers: Sequence[object]) -> Outcome:
    return Outcome(
        won=tuple(each for each in answers if not isinstance(each, (*LOST, *DOUBTS))),
        lost=sum(isinstance(each, LOST) for each in answers),
        doubts=tuple(each for each in answers if isinstance(each, DOUBTS)),
    )
