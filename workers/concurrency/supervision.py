"""Supervision: what should run for ever is begun again whenever it ends, and says why it had to.

A loop that meets an error nobody thought of must not end for good while everything looks well. Its
supervisor writes down what happened, waits a little longer each time, and begins it again; whoever
asks learns what is wrong and since when.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from adapters.errors import NacreError, reason_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """What keeps something from running, and since when.

    Attributes:
        reason: The latest error, as a sentence.
        since: When the first one of the row happened, by the supervisor's clock, in seconds.
        times: How many there were in a row.
    """

    reason: str
    since: float
    times: int = 1

    @classmethod
    def after(cls, before: "Trouble | None", error: BaseException, *, now: float) -> "Trouble":
        """Return the trouble that `error` is, in a row with what was `before`."""
        return cls(
            reason=reason_of(error),
            since=before.since if before else now,
            times=before.times + 1 if before else 1,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """How long is waited before something is begun again.

    Attributes:
        first_s: After the first error in a row, in seconds; doubled after each further one.
        longest_s: Longest wait, in seconds.
        healthy_s: What has run for so long has recovered: the row begins anew.
    """

    first_s: float = 0.5
    longest_s: float = 15.0
    healthy_s: float = 30.0

    def wait_s(self, times: int) -> float:
        """Return how long to wait after error number `times` in a row, counted from 1."""
        return min(self.longest_s, self.first_s * 2.0 ** min(times - 1, 30))


class Supervisor:
    """Begins `work` again whenever it ends, until it is told to stop.

    Args:
        name: Of the work, for the log.
        work: Runs until something goes wrong; may end by itself only once `stop` was called.
        clock: Gives seconds.
        backoff: How long is waited in between.
        logger: Where errors are written down.
    """

    # Owns: what is known of the trouble, and the event that ends it all; both of one event loop.

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        *,
        clock: Callable[[], float],
        backoff: Backoff | None = None,
        logger: logging.Logger,
    ) -> None:
        self._name = name
        self._work = work
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._logger = logger
        self._stopping = asyncio.Event()
        self.trouble: Trouble | None = None

    async def run(self) -> None:
        """Run the work, again and again, until `stop` is called or whoever runs it is cancelled."""
        while not self._stopping.is_set():
            began = self._clock()
            try:
                await self._work()
                error: BaseException = RuntimeError("it ended by itself")
            except asyncio.CancelledError as found:
                if is_being_cancelled():
                    raise
                error = found  # of something that it waited for, which others had cancelled
            except Exception as found:  # noqa: BLE001 - whatever it is, the work goes on
                error = found
            if self._stopping.is_set():
                return
            self._note(error, began)
            assert self.trouble is not None
            await self._rest(self._backoff.wait_s(self.trouble.times))

    def recovered(self) -> None:
        """Note that the work does what it should: what was wrong is over."""
        self.trouble = None

    def stop(self) -> None:
        """Let `run` return when the work has ended."""
        self._stopping.set()

    def _note(self, error: BaseException, began: float) -> None:
        now, before = self._clock(), self.trouble
        if before is not None and now - began >= self._backoff.healthy_s:
            before = None
        self.trouble = found = Trouble.after(before, error, now=now)
        if before is None or before.reason != found.reason:  # an outage of an hour is said once
            self._logger.error(
                "%s ended and is begun again: %s",
                self._name,
                found.reason,
                exc_info=_unexpected(error),
            )

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), timeout=seconds)
        except TimeoutError:
            return


def is_being_cancelled() -> bool:
    """Return whether somebody has cancelled the running task, and not only what it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _unexpected(error: BaseException) -> BaseException | None:
    """Return `error` for the log's traceback where it is none of nacre's own."""
    return None if isinstance(error, NacreError) else error
