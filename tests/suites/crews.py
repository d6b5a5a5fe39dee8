"""A crew that does what a test wants, and a coordinator that runs beside the test.

Nothing here sleeps: the clock moves on when somebody looks at it, and a test that waits for
something looks whenever the coordinator uses its store.
"""

import asyncio
import threading
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from tests.suites.faulty import MortalStore
from workers import inbox
from workers.coordinator import Coordinator
from workers.crew import Assignment, Begun, Progress, Published
from workers.encoder import Encoder
from workers.patience import Patience
from workers.progress import find_state
from workers.publisher import Publisher
from workers.queue import Limits
from workers.registry import (
    AddRecord,
    Author,
    Commit,
    HeadIs,
    Inline,
    LeaseIs,
    Provenance,
    Registry,
    SubmissionAbsent,
)
from workers.store import MemoryStore, ObjectStore
from workers.store.wrappers import WrappedStore
from workers.submission import Submission
from workers.terms import Pace, Setup
from workers.ticket import Stage, Ticket
from workers.versions import Versions
from workers.work import checkpoint_key, hand_over, handover_key

TIMEOUT_S = 20
PACE = Pace(poll_s=0.005, report_s=0.0, lead_s=10_000.0, step_back_s=0.005)
LIMITS = Limits(
    learning=1, patience=Patience(attempts=3, first_s=1, growth=2, longest_s=4, losses=8, lost_s=1)
)


def play(scene: Callable[[], Awaitable[None]]) -> None:
    """Run `scene` to its end, and fail where it does not come to one."""

    async def run() -> None:
        await asyncio.wait_for(scene(), TIMEOUT_S)

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


class Hold:
    """A call that does not return before it is let go.

    Attributes:
        reached: Set when the call is being made.
        stubborn: Whether a cancelled call, like a thread, goes on until it is let go.
        disturbed: Set when it is cancelled once more while it does.
    """

    def __init__(self, *, stubborn: bool = False) -> None:
        self.reached = asyncio.Event()
        self.stubborn = stubborn
        self.disturbed = asyncio.Event()
        self._go = asyncio.Event()

    def let_go(self) -> None:
        """Let the call return."""
        self._go.set()

    async def wait(self) -> None:
        """Wait until the call is let go."""
        self.reached.set()
        await self._go.wait()

    async def linger(self) -> None:
        """Wait after a cancellation, where the call is stubborn."""
        while self.stubborn and not self._go.is_set():
            try:
                await self._go.wait()
            except asyncio.CancelledError:
                self.disturbed.set()


class ScriptedCrew:
    """Learns nothing, but says how far it is, hands over, and commits into a real registry.

    Attributes:
        calls: What was asked for, as (call, task), in order.
        interrupted: Calls that were cancelled, likewise.
        assignments: With what was trained, in order.
        raises: What the next calls raise, by (call, task).
        holds: Calls that wait, by (call, task); "published" stands for the moment after a commit.
        refuses: Tasks whose version the gate refuses.
    """

    def __init__(self, store: ObjectStore, encoder: Encoder) -> None:
        self._store = store
        self._publisher = Publisher(encoder, store, Versions(store))
        self.calls: list[tuple[str, str]] = []
        self.interrupted: list[tuple[str, str]] = []
        self.assignments: list[Assignment] = []
        self.raises: defaultdict[tuple[str, str], list[Exception]] = defaultdict(list)
        self.holds: dict[tuple[str, str], Hold] = {}
        self._held: list[Hold] = []
        self.refuses: set[str] = set()

    def hold(self, call: str, task: str, *, stubborn: bool = False) -> Hold:
        """Let that call wait, and return what lets it go."""
        hold = self.holds[call, task] = Hold(stubborn=stubborn)
        self._held.append(hold)
        return hold

    def let_everything_go(self) -> None:
        """Let every call return that still waits."""
        for hold in self._held:
            hold.let_go()

    def made(self, task: str) -> list[str]:
        """Return the calls that were made for `task`."""
        return [call for call, whose in self.calls if whose == task]

    async def embed(self, submission: Submission, progress: Progress) -> None:
        """See `Crew`."""
        progress(1, 4)
        await self._called("embed", submission)
        progress(4, 4)

    async def begin(self, submission: Submission, *, owner: str, since: int | None) -> Begun:
        """See `Crew`."""
        await self._called("begin", submission)
        return await asyncio.to_thread(self._publisher.begin, submission, owner=owner, since=since)

    async def train(self, assignment: Assignment, progress: Progress) -> None:
        """See `Crew`."""
        self.assignments.append(assignment)
        submission = assignment.submission
        key = checkpoint_key(submission.submission_id)
        await asyncio.to_thread(hand_over, self._store, key, b"half learnt")
        progress(5, 10)
        await self._called("train", submission)
        progress(10, 10)
        await self._hand_over(assignment, "learnt")

    async def compress(self, assignment: Assignment) -> None:
        """See `Crew`."""
        await self._called("compress", assignment.submission)
        await self._hand_over(assignment, "record")

    async def publish(self, assignment: Assignment) -> Published:
        """See `Crew`."""
        submission = assignment.submission
        await self._called("publish", submission)
        refused = submission.task in self.refuses
        number = await asyncio.to_thread(self.commit, assignment, refused=refused)
        hold = self.holds.get(("published", submission.task))
        if hold is not None:
            await hold.wait()
        note = "it forgets too much" if refused else None
        return Published(version=number, built_upon=not refused, note=note)

    def commit(self, assignment: Assignment, *, refused: bool = False) -> int:
        """Publish what was learnt, and return the version's number."""
        submission = assignment.submission
        commit = Commit(
            updates=(
                AddRecord(
                    task=submission.task,
                    submission=submission.submission_id,
                    record=Inline(submission.task.encode()),
                    classes=len(submission.classes),
                ),
            ),
            requirements=(
                LeaseIs(assignment.epoch),
                HeadIs(assignment.parent or None),
                SubmissionAbsent(submission.submission_id),
            ),
            encoder="tiny",
            method=assignment.method,
            settings={},
            provenance=Provenance(notes={"gate": "it forgets too much"} if refused else {}),
            aliases=() if refused else ("head", "production"),
        )
        author = Author(who=submission.author, why="a test", now=1.0)
        return Registry(self._store).adapter(submission.adapter).commit(commit, by=author).number

    async def _called(self, call: str, submission: Submission) -> None:
        about = call, submission.task
        self.calls.append(about)
        hold = self.holds.get(about)
        try:
            await (hold.wait() if hold is not None else asyncio.sleep(0))
        except asyncio.CancelledError:
            self.interrupted.append(about)
            if hold is not None:
                await hold.linger()
            raise
        if self.raises[about]:
            raise self.raises[about].pop(0)

    async def _hand_over(self, assignment: Assignment, stage: str) -> None:
        key = handover_key(assignment.submission.submission_id, assignment.parent, stage)
        await asyncio.to_thread(hand_over, self._store, key, stage.encode())


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


class System:
    """One system: its coordinator, its crew, and the way to the common store.

    Attributes:
        store: What a test looks at; it never fails.
        link: The system's way to it, which may.
        crew: Its crew.
        coordinator: Its coordinator.
    """

    # Owns: the task in which the coordinator runs.

    def __init__(
        self,
        store: MemoryStore,
        encoder: Encoder,
        *,
        link: MortalStore | None = None,
        owner: str = "anna",
        clock: Clock | None = None,
        pace: Pace = PACE,
        limits: Limits = LIMITS,
    ) -> None:
        self.store = store
        self.link = link or MortalStore(store)
        self._used = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._watched = _WatchedStore(self.link, self._tell)
        self.crew = ScriptedCrew(self._watched, encoder)
        setup = Setup(
            store=self._watched, crew=self.crew, clock=clock or Clock(), limits=limits, pace=pace
        )
        self.coordinator = Coordinator(setup, owner=owner, host=f"{owner}'s host")
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.coordinator.run())
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
            used = asyncio.create_task(self._used.wait())
            await asyncio.wait([used, self._running], return_when=asyncio.FIRST_COMPLETED)
            used.cancel()
            self._used.clear()
            if self._running.done():
                assert holds(), f"the coordinator has ended: {self._running.exception()!r}"
                return

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
        self.crew.let_everything_go()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait([running])

    def _tell(self) -> None:
        self._loop.call_soon_threadsafe(self._used.set)


def only(limits: Limits = LIMITS, **changes: Any) -> Limits:
    """Return `limits` with some of them changed."""
    return replace(limits, **changes)
