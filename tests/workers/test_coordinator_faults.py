"""The coordinator when its store fails for a moment, or holds something damaged."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workers.test_coordinator import TIMEOUT_S, ScriptedCrew, submitted
from workers.coordinator import Coordinator
from workers.progress import read_state, read_submissions, state_key
from workers.queue import ENDED, Stage, Ticket
from workers.store import MemoryStore, ObjectStore
from workers.store.wrappers import Fault, FaultyStore, Script, fault_at
from workers.submission import Submission, submission_key

WriteTask = Callable[..., Path]


def carried_out(
    seen: MemoryStore, store: ObjectStore, crew: ScriptedCrew, submission: Submission
) -> Ticket:
    """Run a coordinator on `store`; look at what it writes through `seen`, which never fails."""

    async def run() -> None:
        coordinator = Coordinator(store, crew, poll_s=0.01)
        running = asyncio.create_task(coordinator.run())
        while read_state(seen, submission).ticket.stage not in ENDED:
            assert not running.done(), running.exception()
            await asyncio.sleep(0.01)
        coordinator.stop()
        await running

    asyncio.run(asyncio.wait_for(run(), TIMEOUT_S))
    return read_state(seen, submission).ticket


def operations(write_task: WriteTask) -> int:
    """Return how many operations on its store one submission takes a coordinator."""
    inner = MemoryStore()
    submission = submitted(inner, write_task())
    counting = FaultyStore(inner, lambda _number, _operation, _key: None)
    carried_out(inner, counting, ScriptedCrew(), submission)
    return counting.count


@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.LOSE_ANSWER])
def test_whichever_operation_fails_once_the_submission_is_published(
    write_task: WriteTask, fault: Fault
) -> None:
    for number in range(operations(write_task)):
        inner = MemoryStore()
        submission = submitted(inner, write_task())
        store = FaultyStore(inner, fault_at(number, fault))
        ticket = carried_out(inner, store, ScriptedCrew(), submission)
        assert (ticket.stage, ticket.version) == (Stage.PUBLISHED, 1), f"operation {number}"


def fails_for(operations_that_fail: int) -> Script:
    return lambda number, _operation, _key: Fault.FAIL if number < operations_that_fail else None


def test_a_store_that_is_away_for_a_while_is_waited_for(write_task: WriteTask) -> None:
    inner = MemoryStore()
    submission = submitted(inner, write_task())
    ticket = carried_out(inner, FaultyStore(inner, fails_for(20)), ScriptedCrew(), submission)
    assert ticket.stage is Stage.PUBLISHED


DAMAGES = [
    b"",
    b"null",
    b'{"schema": 99}',
]


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_submission_does_not_stop_the_others(
    write_task: WriteTask, content: bytes
) -> None:
    store = MemoryStore()
    store.put(submission_key("damaged-000000000000"), content)
    submission = submitted(store, write_task())
    assert carried_out(store, store, ScriptedCrew(), submission).stage is Stage.PUBLISHED
    assert read_submissions(store) == [submission]


@pytest.mark.parametrize("content", [b"", b"null", b'{"schema": 1, "ticket": {}}'])
def test_a_damaged_state_is_begun_anew(write_task: WriteTask, content: bytes) -> None:
    store = MemoryStore()
    submission = submitted(store, write_task())
    store.put(state_key(submission.submission_id), content)
    assert carried_out(store, store, ScriptedCrew(), submission).stage is Stage.PUBLISHED


def test_a_state_without_its_submission_is_passed_over(write_task: WriteTask) -> None:
    store = MemoryStore()
    store.put(state_key("purged-000000000000"), b"{}")
    submission = submitted(store, write_task())
    assert read_submissions(store) == [submission]
    assert carried_out(store, store, ScriptedCrew(), submission).stage is Stage.PUBLISHED
