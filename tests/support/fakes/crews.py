"""A crew that does what a test wants, and a coordinator with it."""

import asyncio
from collections import defaultdict

from tests.support.drivers.running import Clock, Running
from tests.support.drivers.simulation import InlineThreads
from tests.support.fakes.faulty import MortalStore
from tests.support.scenes.registry import record_of
from workers.concurrency.threads import SYSTEM_THREADS, Threads
from workers.coordination.settings import Intervals, Setup
from workers.encoding.encoder import Encoder
from workers.learning.crew import Assignment, Begun, Publication
from workers.learning.handover import checkpoint_key, hand_over, handover_key
from workers.learning.publisher import Publisher
from workers.progress_callbacks import ProgressCallback
from workers.queue.machine import Limits
from workers.queue.retry_policy import RetryPolicy
from workers.registry import (
    AddRecord,
    Author,
    Commit,
    EpochIs,
    HeadIs,
    Inline,
    Provenance,
    Registry,
    SubmissionAbsent,
)
from workers.registry.record_cache import Versions
from workers.store import MemoryStore, ObjectStore
from workers.tasks.submission import Submission
from workers.webhooks.sender import WebhookSetup

PACE = Intervals(poll_s=0.005, report_s=0.0, lead_s=1_000.0, step_back_s=0.005)
LIMITS = Limits(
    learning=1,
    retry_policy=RetryPolicy(attempts=3, first_s=1, growth=2, longest_s=4, losses=8, lost_s=1),
)


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
        lasts: Seconds that calls take, by (call, task); none where it says nothing.
        raises: What the next calls raise, by (call, task).
        holds: Calls that wait, by (call, task); "published" stands for the moment after a commit.
        refuses: Tasks whose version the gate refuses.
    """

    def __init__(
        self, store: ObjectStore, encoder: Encoder, *, threads: Threads = SYSTEM_THREADS
    ) -> None:
        self._store = store
        self._threads = threads
        self._publisher = Publisher(encoder, store, Versions(store))
        self.calls: list[tuple[str, str]] = []
        self.interrupted: list[tuple[str, str]] = []
        self.assignments: list[Assignment] = []
        self.lasts: dict[tuple[str, str], float] = {}
        self.raises: defaultdict[tuple[str, str], list[BaseException]] = defaultdict(list)
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

    async def embed(
        self, submission: Submission, progress: ProgressCallback, *, method: str
    ) -> None:
        """See `Crew`."""
        del method
        progress(1, 4)
        await self._called("embed", submission)
        progress(4, 4)

    async def begin(self, submission: Submission, *, owner: str, since: int | None) -> Begun:
        """See `Crew`."""
        await self._called("begin", submission)
        return await self._threads.call(self._publisher.begin, submission, owner=owner, since=since)

    async def train(self, assignment: Assignment, progress: ProgressCallback) -> None:
        """See `Crew`."""
        self.assignments.append(assignment)
        submission = assignment.submission
        key = checkpoint_key(submission.submission_id)
        await self._threads.call(hand_over, self._store, key, b"half learnt")
        progress(5, 10)
        await self._called("train", submission)
        progress(10, 10)
        await self._hand_over(assignment, "learnt")

    async def compress(self, assignment: Assignment) -> None:
        """See `Crew`."""
        await self._called("compress", assignment.submission)
        await self._hand_over(assignment, "record")

    async def publish(self, assignment: Assignment) -> Publication:
        """See `Crew`."""
        submission = assignment.submission
        await self._called("publish", submission)
        refused = submission.task in self.refuses
        number = await self._threads.call(self.commit, assignment, refused=refused)
        hold = self.holds.get(("published", submission.task))
        if hold is not None:
            await hold.wait()
        note = "it forgets too much" if refused else None
        return Publication(version=number, built_upon=not refused, note=note)

    def commit(self, assignment: Assignment, *, refused: bool = False) -> int:
        """Publish what was learnt, and return the version's number."""
        submission = assignment.submission
        commit = Commit(
            updates=(
                AddRecord(
                    task=submission.task,
                    submission=submission.submission_id,
                    record=Inline(record_of(submission.task)),
                    classes=len(submission.classes),
                ),
            ),
            requirements=(
                EpochIs(assignment.epoch),
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
            await (hold.wait() if hold is not None else asyncio.sleep(self.lasts.get(about, 0)))
        except asyncio.CancelledError:
            self.interrupted.append(about)
            if hold is not None:
                await hold.linger()
            raise
        if self.raises[about]:
            raise self.raises[about].pop(0)

    async def _hand_over(self, assignment: Assignment, stage: str) -> None:
        key = handover_key(assignment.submission.submission_id, assignment.parent, stage)
        await self._threads.call(hand_over, self._store, key, stage.encode())


class System(Running):
    """A coordinator with a scripted crew.

    Attributes:
        crew: Its crew.
        threads: Where it uses the store.
    """

    crew: ScriptedCrew
    threads: Threads = SYSTEM_THREADS

    def __init__(
        self,
        store: MemoryStore,
        encoder: Encoder,
        *,
        link: MortalStore | None = None,
        owner: str = "anna",
        clock: Clock | None = None,
        intervals: Intervals = PACE,
        limits: Limits = LIMITS,
        webhooks: WebhookSetup | None = None,
    ) -> None:
        def setup(seen: ObjectStore) -> Setup:
            self.crew = ScriptedCrew(seen, encoder, threads=self.threads)
            return Setup(
                store=seen,
                crew=self.crew,
                clock=clock or Clock(),
                limits=limits,
                intervals=intervals,
                webhooks=webhooks,
                threads=self.threads,
            )

        super().__init__(store, setup, link=link, owner=owner)

    async def drop(self) -> None:
        """End the coordinator as a kill would, and whatever its crew still waits for."""
        self.link.kill()
        self.crew.let_everything_go()
        await super().drop()


class SerialSystem(System):
    """One without threads, for tests of hundreds of runs: these take half of the time."""

    threads: Threads = InlineThreads()
