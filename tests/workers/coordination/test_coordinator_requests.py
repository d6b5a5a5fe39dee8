"""What people ask the coordinator for: cancel, retry, pause, resume, and nonsense."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from adapters.errors import CorruptionError
from tests.support.drivers.running import Clock, play
from tests.support.fakes.crews import System
from tests.support.fakes.faulty import MortalStore
from tests.support.scenes.submissions import announced, submission
from workers.encoding.encoder import Encoder
from workers.learning.handover import PREFIX as WORK
from workers.queue import inbox
from workers.queue.events import Cancel, Event, Pause, Resume, Retry
from workers.queue.inbox import ask
from workers.queue.leadership import read_leadership
from workers.queue.ledger import KEPT_S, outcome_bytes, read_pages, state_key
from workers.queue.machine import Limits
from workers.queue.progress import read_queue, ticket_of
from workers.queue.retry_policy import RetryPolicy
from workers.queue.ticket import ENDED, Stage
from workers.registry import Registry
from workers.store import MemoryStore
from workers.store.testing import Fault
from workers.tasks.submission import Submission

BIRDS, BOATS = submission("birds"), submission("boats")
PAGES = "queue/pages/"


def asked(store: MemoryStore, event: Event) -> None:
    ask(store, event, who="anna")


def cancel(store: MemoryStore, entry: Submission) -> None:
    asked(store, Cancel(submission_id=entry.submission_id))


def retry(store: MemoryStore, entry: Submission) -> None:
    asked(store, Retry(submission_id=entry.submission_id))


def inbox_is_empty(store: MemoryStore) -> bool:
    return not inbox.waiting(store)


@pytest.mark.parametrize("call", ["embed", "train", "compress"])
def test_a_cancelled_submission_is_interrupted_and_the_next_one_is_learnt(
    encoder: Encoder, call: str
) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        announced(store, BOATS)
        async with System(store, encoder) as system:
            await system.crew.hold(call, "birds").reached.wait()
            cancel(store, BIRDS)
            await system.until_stage(BOATS, *ENDED)
            assert system.ticket(BIRDS).stage is Stage.CANCELLED
            assert system.crew.interrupted == [(call, "birds")]
            await system.until(lambda: not list(store.list(WORK)) and inbox_is_empty(store))
        tasks = Registry(store).adapter("main").manifest("head").tasks
        assert [task.task for task in tasks] == ["boats"]

    play(scene)


def test_what_waits_can_be_cancelled(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        announced(store, BOATS)
        async with System(store, encoder) as system:
            hold = system.crew.hold("train", "birds")
            await hold.reached.wait()
            await system.until_stage(BOATS, Stage.WAITING)
            cancel(store, BOATS)
            await system.until_stage(BOATS, Stage.CANCELLED)
            hold.let_go()
            await system.until_stage(BIRDS, *ENDED)
            assert system.crew.made("boats") == ["embed"]

    play(scene)


def test_what_is_being_published_is_published(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            hold = system.crew.hold("publish", "birds")
            await hold.reached.wait()
            cancel(store, BIRDS)
            await system.until(lambda: inbox_is_empty(store))
            assert system.ticket(BIRDS).note == "asked to be cancelled while it was being published"
            hold.let_go()
            assert (await system.until_stage(BIRDS, *ENDED)).stage is Stage.PUBLISHED
            assert system.crew.interrupted == []

    play(scene)


def test_what_was_cancelled_stays_so_after_a_restart(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            await system.crew.hold("train", "birds").reached.wait()
            cancel(store, BIRDS)
            await system.until_stage(BIRDS, Stage.CANCELLED)
        announced(store, BOATS)
        async with System(store, encoder) as system:
            await system.until_stage(BOATS, *ENDED)
            assert system.ticket(BIRDS).stage is Stage.CANCELLED
            assert system.crew.made("birds") == []

    play(scene)


def test_who_takes_a_cancellation_back_before_the_work_has_stopped_is_heard(
    encoder: Encoder,
) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            hold = system.crew.hold("train", "birds", stubborn=True)
            await hold.reached.wait()
            del system.crew.holds["train", "birds"]
            cancel(store, BIRDS)
            await system.until_stage(BIRDS, Stage.CANCELLED)
            retry(store, BIRDS)
            await system.until_stage(BIRDS, Stage.ACCEPTED)
            hold.let_go()
            ticket = await system.until_stage(BIRDS, *ENDED)
            assert (ticket.stage, ticket.round) == (Stage.PUBLISHED, 2)

    play(scene)


def test_a_coordinator_stops_although_a_cancellation_cannot_be_written_down(
    encoder: Encoder,
) -> None:
    async def scene() -> None:
        store, away = MemoryStore(), asyncio.Event()
        announced(store, BIRDS)

        def script(_number: int, operation: str, key: str) -> Fault | None:
            written = operation == "replace" and key.startswith(PAGES)
            return Fault.FAIL if away.is_set() and written else None

        async with System(store, encoder, link=MortalStore(store, script)) as system:
            hold = system.crew.hold("train", "birds", stubborn=True)
            await hold.reached.wait()
            await system.until_stage(BIRDS, Stage.TRAINING)  # the work may be ahead of its ticket
            away.set()
            cancel(store, BIRDS)
            await system.until(lambda: bool(system.crew.interrupted))
            system.coordinator.stop()
            await hold.disturbed.wait()
            hold.let_go()
        assert system.ticket(BIRDS).stage is Stage.TRAINING
        assert not inbox_is_empty(store)  # whoever comes next cancels it

    play(scene)


def test_what_has_failed_is_learnt_when_somebody_asks_for_it(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            system.crew.raises["train", "birds"] = [CorruptionError("damaged") for _ in range(3)]
            await system.until_stage(BIRDS, Stage.FAILED)
            retry(store, BIRDS)
            ticket = await system.until_stage(BIRDS, Stage.PUBLISHED)
            assert (ticket.round, ticket.attempts, ticket.error) == (2, 0, "damaged")

    play(scene)


def test_what_failed_long_ago_is_learnt_when_somebody_asks_for_it(encoder: Encoder) -> None:
    async def scene() -> None:
        store, clock = MemoryStore(), Clock()
        announced(store, BIRDS)
        async with System(store, encoder, clock=clock) as system:
            system.crew.raises["embed", "birds"] = [CorruptionError("damaged") for _ in range(3)]
            await system.until_stage(BIRDS, Stage.FAILED)
            clock.advance(KEPT_S)
            announced(store, BOATS)
            await system.until_stage(BOATS, *ENDED)
        async with System(store, encoder, clock=clock) as system:
            assert BIRDS.submission_id not in {entry.task for entry in read_pages(store)}
            retry(store, BIRDS)
            assert (await system.until_stage(BIRDS, Stage.PUBLISHED)).round == 2

    play(scene)


def test_what_the_gate_refused_is_learnt_again_when_somebody_asks_for_it(
    encoder: Encoder,
) -> None:
    """Perhaps under another rule; the refused version is kept as it is."""

    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            system.crew.refuses.add("birds")
            await system.until_stage(BIRDS, Stage.REJECTED)
            system.crew.refuses.clear()
            system.crew.raises["train", "birds"] = [CorruptionError("damaged")]
            retry(store, BIRDS)
            ticket = await system.until_stage(BIRDS, Stage.PUBLISHED)
            assert (ticket.version, ticket.note, ticket.attempts) == (2, None, 1)

    play(scene)


def test_a_second_round_that_was_published_just_before_a_kill_is_not_learnt_again(
    encoder: Encoder,
) -> None:
    async def scene() -> None:
        store = MemoryStore()
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            system.crew.refuses.add("birds")
            await system.until_stage(BIRDS, Stage.REJECTED)
            hold = system.crew.hold("published", "birds")
            retry(store, BIRDS)
            await hold.reached.wait()
            await system.drop()
        async with System(store, encoder) as system:
            ticket = await system.until_stage(BIRDS, *ENDED)
            assert (ticket.stage, ticket.version) == (Stage.REJECTED, 2)
            assert system.crew.made("birds") == ["begin"]

    play(scene)


def test_retry_ends_a_wait_at_once(encoder: Encoder) -> None:
    async def scene() -> None:
        store, day_s = MemoryStore(), 24 * 3600.0
        announced(store, BIRDS)
        retry_policy = RetryPolicy(first_s=day_s, longest_s=day_s)
        async with System(store, encoder, limits=Limits(retry_policy=retry_policy)) as system:
            system.crew.raises["train", "birds"] = [CorruptionError("damaged")]
            await system.until(lambda: system.ticket(BIRDS).attempts == 1)
            retry(store, BIRDS)
            ticket = await system.until_stage(BIRDS, *ENDED)
            assert (ticket.stage, ticket.attempts) == (Stage.PUBLISHED, 1)
            assert ticket.since < ticket.failures[0].at + day_s

    play(scene)


def test_a_paused_adapter_begins_nothing_until_it_is_resumed(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        zoo = submission("zebras", adapter="zoo")
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            hold = system.crew.hold("train", "birds")
            await hold.reached.wait()
            asked(store, Pause(adapter="main"))
            await system.until(lambda: inbox_is_empty(store))
            hold.let_go()
            assert (await system.until_stage(BIRDS, *ENDED)).stage is Stage.PUBLISHED
            announced(store, BOATS)
            announced(store, zoo)
            await system.until_stage(zoo, *ENDED)
            assert system.crew.made("boats") == []
            asked(store, Resume(adapter="main"))
            await system.until_stage(BOATS, *ENDED)

    play(scene)


def test_a_pause_outlives_the_coordinator(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        asked(store, Pause(adapter="*"))
        async with System(store, encoder) as system:
            await system.until(lambda: inbox_is_empty(store))
            await system.drop()
        lead = read_leadership(store)
        assert lead is not None
        assert lead.paused == ("*",)
        announced(store, BIRDS)
        async with System(store, encoder) as system:
            await system.until(lambda: inbox_is_empty(store))
            await system.until_looks(3)
            assert system.crew.calls == []
            assert read_queue(store).lead is not None
            asked(store, Resume(adapter="*"))
            await system.until_stage(BIRDS, *ENDED)

    play(scene)


def damaged_outcome(store: MemoryStore) -> None:
    """Somebody asks for a submission whose outcome can no longer be read."""
    store.put(state_key(BIRDS.submission_id), b"")
    retry(store, BIRDS)


NONSENSE: list[Callable[[MemoryStore], None]] = [
    lambda store: store.put(f"{inbox.PREFIX}1-a.json", b""),
    lambda store: store.put(f"{inbox.PREFIX}1-a.json", b'{"schema": 99}'),
    lambda store: store.put(f"{inbox.PREFIX}1-a.json", b'{"schema": 1, "wish": "dance"}'),
    lambda store: asked(store, Cancel(submission_id="nothing-000000000000")),
    lambda store: asked(store, Retry(submission_id="nothing-000000000000")),
    # names that no key can have
    lambda store: asked(store, Retry(submission_id="../nothing")),
    lambda store: asked(store, Cancel(submission_id="")),
    lambda store: asked(store, Pause(adapter="no such adapter")),
    lambda store: asked(store, Resume(adapter="")),
    damaged_outcome,
]


@pytest.mark.parametrize("number", range(len(NONSENSE)))
def test_what_cannot_be_done_is_passed_over_and_does_not_stop_the_others(
    encoder: Encoder, number: int
) -> None:
    async def scene() -> None:
        store = MemoryStore()
        async with System(store, encoder) as system:
            await system.until_looks(1)
            NONSENSE[number](store)
            announced(store, BOATS)
            await system.until_stage(BOATS, Stage.PUBLISHED)
            await system.until(lambda: inbox_is_empty(store))
            assert system.coordinator.waits_for is None

    play(scene)


def test_accepting_what_has_ended_long_ago_does_not_begin_it_again(encoder: Encoder) -> None:
    async def scene() -> None:
        store = MemoryStore()
        ended = replace(ticket_of(BIRDS), stage=Stage.CANCELLED)
        async with System(store, encoder) as system:
            await system.until_looks(2)  # the first one is part of its beginning
            store.put(state_key(BIRDS.submission_id), outcome_bytes(ended))
            announced(store, BIRDS)
            announced(store, BOATS)
            await system.until_stage(BOATS, Stage.PUBLISHED)
            assert system.crew.made("birds") == []
        assert {entry.submission_id for entry in read_pages(store)} == {BOATS.submission_id}

    play(scene)
