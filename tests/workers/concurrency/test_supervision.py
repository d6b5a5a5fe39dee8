"""Supervision: only who is told to stop, or cancelled, ends; everything else is begun again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from adapters.errors import UnavailableError
from workers.concurrency.supervision import Backoff, Supervisor

logger = logging.getLogger("tests.supervision")
AT_ONCE = Backoff(first_s=0.0)


class UnwritableError(Exception):
    """Fails to say what it is."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")

    __str__ = __repr__


async def cancelled_inside() -> None:
    """Wait for something that somebody else has cancelled."""
    waited = asyncio.get_running_loop().create_future()
    waited.cancel()
    await waited


async def unwritable() -> None:
    raise UnwritableError


async def group_of_unwritable() -> None:
    raise ExceptionGroup("several", [UnwritableError()])


async def ends_by_itself() -> None:
    return


async def endless() -> None:
    raise ValueError("x" * 10**6)


async def ours() -> None:
    raise UnavailableError("the store is away; bring it back")


KINDS: list[tuple[Callable[[], Awaitable[None]], str]] = [
    (cancelled_inside, "CancelledError()"),
    (unwritable, "UnwritableError, which cannot be written (RuntimeError)"),
    (group_of_unwritable, "ExceptionGroup, which cannot be written (RuntimeError)"),
    (ends_by_itself, "it ended by itself"),
    (endless, "ValueError('xxx"),
    (ours, "the store is away; bring it back"),
]


@pytest.mark.parametrize(("happens", "reason"), KINDS)
def test_whatever_ends_the_work_is_said_and_the_work_begun_again(
    happens: Callable[[], Awaitable[None]], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    rounds: list[int] = []

    async def work() -> None:
        rounds.append(len(rounds))
        if len(rounds) == 4:
            supervisor.stop()
        await happens()

    supervisor = Supervisor(
        "the work", work, clock=lambda: float(len(rounds)), backoff=AT_ONCE, logger=logger
    )
    asyncio.run(asyncio.wait_for(supervisor.run(), 20))
    assert rounds == [0, 1, 2, 3]
    trouble = supervisor.trouble
    assert trouble is not None
    assert reason in trouble.reason
    assert len(trouble.reason) < 2100
    assert (trouble.since, trouble.times) == (1.0, 3)
    assert [record.getMessage() for record in caplog.records] == [
        f"the work ended and is begun again: {trouble.reason}"
    ]


@pytest.mark.parametrize("resting", [False, True])
def test_whoever_cancels_the_supervisor_ends_it(*, resting: bool) -> None:
    async def scene() -> None:
        working = asyncio.Event()

        async def work() -> None:
            working.set()
            if resting:
                raise ValueError("then it rests")
            await asyncio.Event().wait()

        supervisor = Supervisor(
            "the work", work, clock=lambda: 0.0, backoff=Backoff(first_s=60.0), logger=logger
        )
        running = asyncio.create_task(supervisor.run())
        await working.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(asyncio.wait_for(scene(), 20))


def test_waits_grow_up_to_the_longest() -> None:
    backoff = Backoff(first_s=1.0, longest_s=5.0)
    assert [backoff.wait_s(times) for times in (1, 2, 3, 4, 10**6)] == [1.0, 2.0, 4.0, 5.0, 5.0]
