"""The coordinator around the queue, with a crew that does as it is told."""

import asyncio
from dataclasses import replace

import pytest

from adapters.errors import (
    ConflictError,
    CorruptionError,
    FeatureError,
    NotFoundError,
    UnavailableError,
    UnknownOutcomeError,
    WorkerLostError,
)
from tests.support.drivers.running import play
from tests.support.fakes.crews import LIMITS, System
from tests.support.fakes.faulty import MortalStore
from tests.support.scenes.submissions import announced, submission, written
from workers.encoding.encoder import Encoder
from workers.learning.handover import PREFIX as WORK
from workers.queue import inbox
from workers.queue.journal import read_journal
from workers.queue.ledger import state_key
from workers.queue.progress import find_state, read_queue
from workers.queue.ticket import ENDED, Cause, Stage
from workers.registry import Registry, verify
from workers.store import MemoryStore
from workers.store.testing import RecordingStore
from workers.tasks.submission import submission_key

BIRDS, BOATS = submission("birds", accepted_at=1.0), submission("boats", accepted_at=2.0)


def head_of(store: MemoryStore, adapter: str = "main") -> list[str]:
    return [task.task for task in Registry(store).adapter(adapter).manifest("head").tasks]


def left_in(store: MemoryStore, prefix: str) -> list[str]:
    return [entry.key for entry in store.list(prefix)]


def test_a_submission_passes_every_stage_once(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            ticket = await system.until_stage(BIRDS, *ENDED)
            assert (ticket.stage, ticket.version, ticket.parent) == (Stage.PUBLISHED, 1, 0)
            assert system.crew.made("birds") == ["embed", "begin", "train", "compress", "publish"]
        assert head_of(store) == ["birds"]
        assert verify(store, "main").problems == ()

    play(scene)


def test_what_happened_is_written_down_and_nothing_else_is_left(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            await system.until_stage(BIRDS, *ENDED)
            await system.until(lambda: not left_in(store, WORK))
        assert [entry.stage for entry in read_journal(store, BIRDS.submission_id)] == [
            "encoding",
            "waiting",
            "training",
            "training",  # on which version is known only now
            "compressing",
            "checking",
            "published",
        ]
        assert left_in(store, inbox.PREFIX) == []

    play(scene)


def test_nothing_that_was_handed_over_is_removed_before_the_end_is_durable(
    encoder: Encoder,
) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        seen = RecordingStore(store)
        async with System(store, encoder, link=MortalStore(seen)) as system:
            await system.until_stage(BIRDS, *ENDED)
            await system.until(lambda: not left_in(store, WORK))
        ended = seen.keys.index(("put", state_key(BIRDS.submission_id)))
        removed = [n for n, (operation, key) in enumerate(seen.keys) if operation == "delete"]
        assert all(seen.keys[n][1].startswith(inbox.PREFIX) or n > ended for n in removed)

    play(scene)


def test_submissions_are_published_in_the_order_of_acceptance(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        tasks = [announced(store, submission(name)) for name in ("c", "a", "b")]
        async with System(store, encoder) as system:
            await system.until(lambda: all(system.ticket(t).stage in ENDED for t in tasks))
        assert head_of(store) == ["c", "a", "b"]

    play(scene)


def test_submissions_further_back_are_embedded_while_the_front_one_is_learnt(
    encoder: Encoder,
) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            hold = system.crew.hold("train", "birds")
            await hold.reached.wait()
            announced(store, BOATS)
            await system.until_stage(BOATS, Stage.WAITING)
            assert system.ticket(BIRDS).stage is Stage.TRAINING
            hold.let_go()
            await system.until_stage(BOATS, *ENDED)
        assert head_of(store) == ["birds", "boats"]

    play(scene)


def test_two_adapters_are_learnt_side_by_side(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        for name in ("x", "y"):
            announced(store, submission(name, adapter=name))
        async with System(store, encoder, limits=replace(LIMITS, learning=2)) as system:
            holds = [system.crew.hold("train", name) for name in ("x", "y")]
            for hold in holds:
                await hold.reached.wait()

    play(scene)


def test_a_submission_that_nobody_announced_is_found_at_the_start(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        written(store, BIRDS)
        async with System(store, encoder) as system:
            assert (await system.until_stage(BIRDS, *ENDED)).stage is Stage.PUBLISHED

    play(scene)


def test_a_new_coordinator_finds_everything_done(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            await system.until_stage(BIRDS, *ENDED)
        announced(store, BOATS)
        async with System(store, encoder) as system:
            await system.until_stage(BOATS, *ENDED)
            assert system.crew.made("birds") == []
        assert head_of(store) == ["birds", "boats"]

    play(scene)


ONCE_MORE: list[tuple[Exception, int]] = [
    # what a crew raises, and how many attempts that costs
    (CorruptionError("a block is damaged"), 1),
    (ValueError("nobody expected this"), 1),
    (UnavailableError("the workers are away"), 0),
    (WorkerLostError("the node is gone"), 0),
    (UnknownOutcomeError("the answer was lost"), 0),
    (ConflictError("head moved"), 0),
]


@pytest.mark.parametrize("call", ["embed", "begin", "train", "compress", "publish"])
@pytest.mark.parametrize(("error", "attempts"), ONCE_MORE)
def test_a_call_that_fails_once_is_made_again(
    encoder: Encoder, call: str, error: Exception, attempts: int
) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            system.crew.raises[call, "birds"] = [error]
            ticket = await system.until_stage(BIRDS, *ENDED)
            assert (ticket.stage, ticket.attempts) == (Stage.PUBLISHED, attempts)
            assert system.crew.made("birds").count(call) == 2

    play(scene)


def test_workers_that_are_lost_again_and_again_cost_no_attempt_while_the_work_gets_on(
    encoder: Encoder,
) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            for call in ("embed", "train", "compress", "publish"):
                system.crew.raises[call, "birds"] = [WorkerLostError("gone") for _ in range(5)]
            ticket = await system.until_stage(BIRDS, *ENDED)
            assert (ticket.stage, ticket.attempts) == (Stage.PUBLISHED, 0)

    play(scene)


@pytest.mark.parametrize("call", ["embed", "begin", "train", "compress", "publish"])
def test_what_kills_its_workers_every_time_fails_and_the_next_is_learnt(
    encoder: Encoder, call: str
) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        announced(store, BOATS)
        async with System(store, encoder) as system:
            system.crew.raises[call, "birds"] = [WorkerLostError("gone") for _ in range(99)]
            await system.until_stage(BOATS, *ENDED)
            ticket = system.ticket(BIRDS)
            assert (ticket.stage, ticket.losses) == (Stage.FAILED, LIMITS.retry_policy.losses)
            assert ticket.failures[-1].cause is Cause.LOSS

    play(scene)


@pytest.mark.parametrize("call", ["embed", "begin", "train", "compress", "publish"])
def test_what_fails_every_time_fails_and_the_next_is_learnt(encoder: Encoder, call: str) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        announced(store, BOATS)
        async with System(store, encoder) as system:
            system.crew.raises[call, "birds"] = [CorruptionError("damaged") for _ in range(99)]
            await system.until_stage(BOATS, *ENDED)
            ticket = system.ticket(BIRDS)
            assert (ticket.stage, ticket.error) == (Stage.FAILED, "damaged")
            assert ticket.attempts == LIMITS.retry_policy.attempts
        assert head_of(store) == ["boats"]

    play(scene)


def test_bad_features_fail_at_once_with_their_reason(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            system.crew.raises["train", "birds"] = [FeatureError("a feature is not finite")]
            ticket = await system.until_stage(BIRDS, *ENDED)
            assert (ticket.stage, ticket.error) == (Stage.FAILED, "a feature is not finite")

    play(scene)


def test_features_that_are_gone_are_made_again(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            system.crew.raises["train", "birds"] = [NotFoundError("no such block")]
            ticket = await system.until_stage(BIRDS, *ENDED)
            assert (ticket.stage, ticket.attempts) == (Stage.PUBLISHED, 1)
            made = system.crew.made("birds")
            assert made == ["embed", "begin", "train", "embed", "begin", "train", *made[-2:]]

    play(scene)


@pytest.mark.parametrize("content", [b"", b"null", b'{"schema": 99}'])
def test_a_damaged_submission_does_not_stop_the_others(encoder: Encoder, content: bytes) -> None:
    async def scene() -> None:
        store = MemoryStore()
        store.put(submission_key("damaged-000000000000"), content)
        damaged = announced(store, submission("damaged"))
        store.put(damaged.key, content)
        announced(store, BOATS)
        async with System(store, encoder) as system:
            await system.until_stage(BOATS, *ENDED)
        assert head_of(store) == ["boats"]

    play(scene)


def test_what_the_gate_refuses_is_not_built_upon(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        announced(store, BOATS)
        async with System(store, encoder) as system:
            system.crew.refuses.add("birds")
            await system.until_stage(BOATS, *ENDED)
            ticket = system.ticket(BIRDS)
            found = (ticket.stage, ticket.version, ticket.note)
            assert found == (Stage.REJECTED, 1, "it forgets too much")
        assert head_of(store) == ["boats"]

    play(scene)


def test_progress_is_that_of_the_present_stage(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            training = system.crew.hold("train", "birds")
            compressing = system.crew.hold("compress", "birds")

            def progress() -> tuple[int, int] | None:
                found = find_state(store, BIRDS.submission_id).progress
                return (found.done, found.total) if found else None

            await system.until(lambda: progress() == (5, 10))
            training.let_go()
            await system.until_stage(BIRDS, Stage.COMPRESSING)
            await system.until(lambda: progress() is None)
            compressing.let_go()
            await system.until_stage(BIRDS, *ENDED)

    play(scene)


def test_whoever_looks_sees_who_coordinates(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        async with System(store, encoder) as system:
            await system.until(lambda: read_queue(store).lead is not None)
            lead = read_queue(store).lead
            assert lead is not None
            assert (lead.owner, lead.host, lead.epoch) == ("anna", "anna's host", 1)
            await system.until(lambda: system.coordinator.waits_for is None)

    play(scene)


class UnwritableError(Exception):
    """Fails to say what it is."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize("call", ["embed", "train", "compress", "publish"])
@pytest.mark.parametrize("raised", [asyncio.CancelledError, UnwritableError])
def test_work_that_others_cancel_or_that_ends_without_words_is_done_again(
    encoder: Encoder, call: str, raised: type[BaseException]
) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            system.crew.raises[call, "birds"] = [raised()]
            ticket = await system.until_stage(BIRDS, *ENDED)
        assert ticket.stage is Stage.PUBLISHED
        assert ticket.attempts == (raised is UnwritableError)  # a lost worker uses none up

    play(scene)
