"""The coordinator around the queue, with a crew that records what it is asked for."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from adapters.errors import (
    ConflictError,
    CorruptionError,
    FeatureError,
    NacreError,
    UnavailableError,
)
from workers.coordinator import Coordinator, Progress
from workers.intake import take_in
from workers.progress import read_state
from workers.queue import ENDED, Stage, Ticket
from workers.store import MemoryStore
from workers.submission import Submission
from workers.task import load_task

WriteTask = Callable[..., Path]
TIMEOUT_S = 20


class ScriptedCrew:
    """Does nothing, notes every call, and raises what the script says at the named calls."""

    def __init__(self, script: dict[str, list[NacreError]] | None = None) -> None:
        self.script = script or {}
        self.calls: list[str] = []
        self.version = 0

    async def published_as(self, submission: Submission) -> int | None:
        assert submission.submission_id
        return None

    async def embed(self, submission: Submission, progress: Progress) -> None:
        progress(1, 1)
        self._note("embed", submission)

    async def train(self, submission: Submission, progress: Progress) -> None:
        progress(1, 1)
        self._note("train", submission)

    async def compress(self, submission: Submission) -> None:
        self._note("compress", submission)

    async def publish(self, submission: Submission) -> int:
        self._note("publish", submission)
        self.version += 1
        return self.version

    def _note(self, call: str, submission: Submission) -> None:
        self.calls.append(call)
        assert submission.images("train") > 0
        if self.script.get(call):
            raise self.script[call].pop(0)


def carried_out(store: MemoryStore, crew: ScriptedCrew, submission: Submission) -> Ticket:
    """Run a coordinator until `submission` has ended, and return its ticket as stored."""

    async def run() -> None:
        coordinator = Coordinator(store, crew, poll_s=0.01, retry_s=0.01)
        running = asyncio.create_task(coordinator.run())
        while read_state(store, submission).ticket.stage not in ENDED:
            assert not running.done(), running.exception()
            await asyncio.sleep(0.01)
        coordinator.stop()
        await running

    asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))
    return read_state(store, submission).ticket


def submitted(store: MemoryStore, task_file: Path) -> Submission:
    return take_in(load_task(task_file), store, now=1.0, author="tester").submission


def test_a_submission_passes_every_stage_once(write_task: WriteTask) -> None:
    store, crew = MemoryStore(), ScriptedCrew()
    ticket = carried_out(store, crew, submitted(store, write_task()))
    assert (ticket.stage, ticket.version) == (Stage.PUBLISHED, 1)
    assert crew.calls == ["embed", "train", "compress", "publish"]


def test_when_head_moves_during_training_the_task_is_trained_again(write_task: WriteTask) -> None:
    store = MemoryStore()
    crew = ScriptedCrew({"publish": [ConflictError("head moved")]})
    ticket = carried_out(store, crew, submitted(store, write_task()))
    assert (ticket.stage, ticket.attempts) == (Stage.PUBLISHED, 0)
    assert crew.calls == ["embed", *["train", "compress", "publish"] * 2]


def test_a_stage_that_fails_once_costs_an_attempt_and_nothing_else(write_task: WriteTask) -> None:
    store = MemoryStore()
    crew = ScriptedCrew({"train": [CorruptionError("a block is damaged")]})
    ticket = carried_out(store, crew, submitted(store, write_task()))
    assert (ticket.stage, ticket.attempts) == (Stage.PUBLISHED, 1)


def test_workers_that_are_lost_again_and_again_cost_no_attempt(write_task: WriteTask) -> None:
    store = MemoryStore()
    crew = ScriptedCrew({"train": [UnavailableError("worker died")] * 5})
    ticket = carried_out(store, crew, submitted(store, write_task()))
    assert (ticket.stage, ticket.attempts) == (Stage.PUBLISHED, 0)


def test_bad_features_fail_at_once_with_their_reason(write_task: WriteTask) -> None:
    store = MemoryStore()
    crew = ScriptedCrew({"train": [FeatureError("a feature is not finite")]})
    ticket = carried_out(store, crew, submitted(store, write_task()))
    assert (ticket.stage, ticket.error) == (Stage.FAILED, "a feature is not finite")


def test_a_new_coordinator_goes_on_where_the_old_one_stopped(write_task: WriteTask) -> None:
    store = MemoryStore()
    submission = submitted(store, write_task())
    carried_out(store, ScriptedCrew(), submission)
    second = ScriptedCrew()
    assert carried_out(store, second, submission).stage is Stage.PUBLISHED
    assert second.calls == []
