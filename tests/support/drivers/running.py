"""A coordinator that runs beside a test.

Nothing here sleeps: the clock moves on when somebody looks at it, and a test that waits for
something looks whenever the coordinator uses its store.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from tests.support.fakes.faulty import MortalStore
from workers.coordination.coordinator import Coordinator
from workers.coordination.settings import Setup
from workers.queue import inbox
from workers.queue.progress import find_state
from workers.queue.ticket import Stage, Ticket
from workers.store import ObjectStore
from workers.store.testing import WrappedStore
from workers.tasks.submission import Submission

TIMEOUT_S = 180.0


def play(scene: Callable[[], Awaitable[None]], *, timeout_s: float = TIMEOUT_S) -> None:
    """Run `scene` to its end, and fail where it does not come to one."""

    async def run() -> None:
        await asyncio.wait_for(scene(), timeout_s)

    asyncio.run(run())


class Clock:
    """Time that passes a little whenever somebody looks at it."""

    # Owns: the time, guarded by a lock.

    def __init__(self, *, step_s: float = 0.1) -> None:
        self._now = 1_000.0
        self._step_s = step_s
        self._lock = threading.Lock()

    def __call__(self) -> float:
        with self._lock:
            self._now += self._step_s
            return self._now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        with self._lock:
            self._now += seconds


class _WatchedStore(WrappedStore):
    """Tells somebody whenever it is used.

    Attributes:
        used: How often each key or prefix was used.
    """

    def __init__(self, inner: ObjectStore, tell: Callable[[], None]) -> None:
        super().__init__(inner)
        self._tell = tell
        self._lock = threading.Lock()
        self.used: Counter[str] = Counter()

    def before(self, operation: str, key: str) -> None:  # noqa: ARG002
        with self._lock:
            self.used[key] += 1
        self._tell()

    def after(self, operation: str, key: str, sent: int, received: int) -> None:  # noqa: ARG002
        self._tell()


class Running:
    """A coordinator that runs as long as the context lasts, unless it is dropped before.

    Args:
        store: What a test looks at; it never fails.
        setup: Makes what the coordinator works with, given its way to the store.
        link: That way, which may fail; straight where None.
        owner: Names the system.
    """

    # Owns: the task in which the coordinator runs.

    def __init__(
        self,
        store: ObjectStore,
        setup: Callable[[ObjectStore], Setup],
        *,
        link: MortalStore | None = None,
        owner: str = "anna",
    ) -> None:
        self.store = store
        self.link = link or MortalStore(store)
        self._used = asyncio.Event()
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._watched = _WatchedStore(self.link, self._tell)
        self.coordinator = Coordinator(setup(self._watched), owner=owner, host=f"{owner}'s host")
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.coordinator.run())
        self._running.add_done_callback(lambda _: self._used.set())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None or self.link.dead:
            await self.drop()
        else:
            await self.stop()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until `holds()`; it is asked whenever the coordinator has used its store."""
        assert self._running is not None
        while not holds():
            if self._running.done():
                raise AssertionError(f"the coordinator has ended: {self._running.exception()!r}")
            await self._used.wait()
            self._used.clear()

    async def until_stage(self, submission: Submission, *stages: Stage) -> Ticket:
        """Wait until a submission is in one of `stages`, and return its ticket."""
        await self.until(lambda: self.ticket(submission).stage in stages)
        return self.ticket(submission)

    async def until_looks(self, count: int) -> None:
        """Wait until the coordinator has looked into the inbox `count` times more."""
        await self.until_looks_at(inbox.PREFIX, count)

    async def until_looks_at(self, key: str, count: int) -> None:
        """Wait until an object, or what a prefix names, was used `count` times more."""
        wanted = self._watched.used[key] + count
        await self.until(lambda: self._watched.used[key] >= wanted)

    async def until_quiet(self) -> None:
        """Wait until the coordinator has looked around three times without writing anything."""
        before: list[bytes] | None = None
        while before != (before := [self.store.get(e.key).data for e in self.store.list("")]):
            await self.until_looks(3)

    def ticket(self, submission: Submission) -> Ticket:
        """Return the ticket of a submission as whoever looks sees it."""
        return find_state(self.store, submission.submission_id).ticket

    async def stop(self) -> None:
        """Stop the coordinator in order; it may still die of that."""
        running, self._running = self._running, None
        if running is not None:
            self.coordinator.stop()
            await asyncio.wait([running])
            assert self.link.dead or running.exception() is None

    async def drop(self) -> None:
        """End the coordinator as a kill would: nothing more is written, and nothing released."""
        self.link.kill()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait([running])

    def _tell(self) -> None:
        if threading.get_ident() == self._thread:
            self._used.set()
        else:
            self._loop.call_soon_threadsafe(self._used.set)
