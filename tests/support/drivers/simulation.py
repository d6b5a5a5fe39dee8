"""One thread and simulated time: what waits is woken at once, and the clock says when."""

import asyncio
import selectors
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import ParamSpec, TypeVar

from workers.coordination.coordinator import Coordinator
from workers.queue.progress import find_state
from workers.queue.ticket import ENDED
from workers.store import ObjectStore
from workers.store.testing import RecordingStore
from workers.tasks.submission import Submission

Item = TypeVar("Item")
Result = TypeVar("Result")
Args = ParamSpec("Args")

TICK_S = 1e-5
BEGINS_AT = 1_000.0
"""Small enough for a float to tell moments apart that are closer than the loop's resolution."""


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only while everybody waits, and then at once."""

    # Owns: the time.

    def __init__(self) -> None:
        self._now = BEGINS_AT
        super().__init__(_Impatient(self.advance))

    def time(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        self._now += seconds


class Clock:
    """The time of a simulated loop, which passes a little whenever somebody looks at it.

    Else everything that happens between two waits would happen in one moment.
    """

    # Owns: nothing; the loop owns the time.

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop

    def __call__(self) -> float:
        self._loop.advance(TICK_S)
        return self._loop.time()


class _Impatient(selectors.SelectSelector):
    """Reports that the time is over instead of letting it pass."""

    def __init__(self, passed: Callable[[float], None]) -> None:
        super().__init__()
        self._passed = passed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits for somebody else, for ever"
            self._passed(timeout)
        return ready


class InlineThreads:
    """No threads: what is called is done before anything else goes on."""

    async def call(
        self, function: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs
    ) -> Result:
        await asyncio.sleep(0)  # as with threads, others get their turn
        return function(*args, **kwargs)

    def map(
        self, function: Callable[[Item], Result], items: Iterable[Item], *, most: int
    ) -> list[Result]:
        assert most > 0
        return [function(item) for item in items]


class OneThreadStore(RecordingStore):
    """A recording store that only the thread which made it may use."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self._thread = threading.get_ident()

    def before(self, operation: str, key: str) -> None:
        assert threading.get_ident() == self._thread, f"{operation} of {key!r} in another thread"


def simulate(scene: Callable[[SimulatedLoop], Awaitable[Result]]) -> Result:
    """Run `scene` to its end in simulated time, and return what it returns."""

    async def run() -> Result:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SimulatedLoop)
        return await scene(loop)

    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(run())


async def until_ended(
    coordinator: Coordinator, store: ObjectStore, submissions: Sequence[Submission]
) -> None:
    """Let `coordinator` run until all of `submissions` have ended, and stop it."""
    running = asyncio.create_task(coordinator.run())
    while any(find_state(store, t.submission_id).ticket.stage not in ENDED for t in submissions):
        assert not running.done()
        await asyncio.sleep(1)
    coordinator.stop()
    await running
