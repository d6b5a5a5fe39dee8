"""Whatever goes wrong with the store or kills the coordinator: published exactly once."""

import asyncio
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from tests.support.drivers.operations import Aim, CountingStore, Target, targets
from tests.support.drivers.running import Clock, play
from tests.support.fakes.crews import SerialSystem, System
from tests.support.fakes.faulty import MortalStore
from tests.support.scenes.submissions import announced, submission
from workers.encoding.encoder import Encoder
from workers.queue import inbox
from workers.queue.events import Cancel, Pause
from workers.queue.inbox import ask
from workers.queue.leadership import read_leadership, take_leadership
from workers.queue.ledger import PAGES, Ledger, bucket_of, outcome_bytes, page_key, state_key
from workers.queue.progress import find_state, ticket_of
from workers.queue.ticket import ENDED, Stage
from workers.registry import Registry, verify
from workers.store import MemoryStore
from workers.store.testing import Fault, RecordingStore
from workers.tasks.submission import Submission

pytestmark = pytest.mark.slow

BIRDS, BOATS = submission("birds"), submission("boats")
MOST = 6


def store_with(*submissions: Submission) -> MemoryStore:
    store = MemoryStore()
    for entry in submissions:
        announced(store, entry)
    return store


def check_published_once(store: MemoryStore, *submissions: Submission) -> None:
    """Check that each was published once, in that order, and that nothing else is left."""
    main = Registry(store).adapter("main")
    published = [entry for entry in main.history() if entry.published is not None]
    names = [entry.detail["submission"] for entry in reversed(published)]
    assert names == [entry.submission_id for entry in submissions]
    assert [task.submission for task in main.manifest("head").tasks] == names
    assert verify(store, "main").problems == ()
    assert list(store.list(inbox.PREFIX)) == []
    assert [stage_of(store, entry) for entry in submissions] == [Stage.PUBLISHED] * len(names)


def stage_of(store: MemoryStore, entry: Submission) -> Stage:
    return find_state(store, entry.submission_id).ticket.stage


def is_finished(store: MemoryStore) -> bool:
    """Return whether everything is published, and that is written down."""
    ended = all(stage_of(store, entry) in ENDED for entry in (BIRDS, BOATS))
    return ended and list(store.list(inbox.PREFIX)) == []


def undisturbed(encoder: Encoder) -> Counter[tuple[str, str]]:
    """Return the operations of a run in which nothing goes wrong."""
    store = store_with(BIRDS, BOATS)
    counting = CountingStore(store)

    async def scene() -> None:
        async with SerialSystem(store, encoder, link=MortalStore(counting)) as system:
            await system.until(lambda: is_finished(store))

    play(scene)
    check_published_once(store, BIRDS, BOATS)
    return counting.seen


def everything(encoder: Encoder) -> list[Target]:
    pages = [page_key(bucket_of(entry.submission_id)) for entry in (BIRDS, BOATS)]
    return list(targets(undisturbed(encoder), pages=pages, most=MOST))


@pytest.mark.parametrize("fault", [Fault.FAIL, Fault.LOSE_ANSWER])
def test_whichever_operation_fails_or_loses_its_answer_once(encoder: Encoder, fault: Fault) -> None:
    fired = 0
    aims = everything(encoder)
    for target in aims:
        store, aim = store_with(BIRDS, BOATS), Aim(target, fault)

        async def scene(store: MemoryStore = store, aim: Aim = aim) -> None:
            async with SerialSystem(store, encoder, link=MortalStore(store, aim)) as system:
                await system.until(lambda: is_finished(store))
                assert system.ticket(BIRDS).attempts == 0

        play(scene)
        check_published_once(store, BIRDS, BOATS)
        fired += aim.fired
    assert fired > 0.9 * len(aims)  # how often something is looked at differs a little


@pytest.mark.parametrize("fault", [Fault.CRASH, Fault.CRASH_AFTER])
def test_before_or_after_whichever_operation_the_coordinator_is_killed(
    encoder: Encoder, fault: Fault
) -> None:
    fired = 0
    aims = everything(encoder)
    for target in aims:
        store, aim = store_with(BIRDS, BOATS), Aim(target, fault)

        async def scene(store: MemoryStore = store, aim: Aim = aim) -> None:
            async with SerialSystem(store, encoder, link=MortalStore(store, aim)) as system:
                link = system.link
                await system.until(lambda: link.dead or is_finished(store))
            async with SerialSystem(store, encoder) as system:
                await system.until(lambda: is_finished(store))
                assert system.ticket(BIRDS).attempts == 0

        play(scene)
        check_published_once(store, BIRDS, BOATS)
        fired += aim.fired
    assert fired > 0.9 * len(aims)


def test_a_store_that_is_away_at_the_start_is_waited_for(encoder: Encoder) -> None:
    async def scene() -> None:
        store = store_with(BIRDS, BOATS)
        link = MortalStore(store, lambda number, _op, _key: Fault.FAIL if number < 100 else None)
        async with System(store, encoder, link=link) as system:
            await system.until(lambda: is_finished(store))
        check_published_once(store, BIRDS, BOATS)

    play(scene)


@pytest.mark.parametrize("call", ["embed", "train", "compress", "publish"])
def test_a_store_that_goes_away_in_the_middle_is_waited_for(encoder: Encoder, call: str) -> None:
    async def scene() -> None:
        store, clock, away = store_with(BIRDS, BOATS), Clock(), asyncio.Event()
        link = MortalStore(store, lambda _n, _op, _key: Fault.FAIL if away.is_set() else None)
        async with System(store, encoder, link=link, clock=clock) as system:
            hold = system.crew.hold(call, "birds")
            await hold.reached.wait()
            away.set()
            hold.let_go()
            wanted = link.count + 200
            await system.until(lambda: link.count > wanted)
            clock.advance(60)
            away.clear()
            await system.until(lambda: is_finished(store))
            assert system.ticket(BIRDS).attempts == system.ticket(BOATS).attempts == 0
            lead = read_leadership(store)
            assert lead is not None
            assert lead.epoch == 1
        check_published_once(store, BIRDS, BOATS)

    play(scene)


@pytest.mark.parametrize("fault", [Fault.CRASH, Fault.CRASH_AFTER])
def test_requests_are_carried_out_wherever_the_coordinator_is_killed(
    encoder: Encoder, fault: Fault
) -> None:
    def asked() -> MemoryStore:
        store = store_with(BIRDS, BOATS)
        ask(store, Cancel(submission_id=BOATS.submission_id), who="anna")
        ask(store, Pause(adapter="zoo"), who="anna")
        return store

    def is_done(store: MemoryStore) -> bool:
        lead = read_leadership(store)
        paused = lead is not None and lead.paused == ("zoo",)
        return paused and stage_of(store, BOATS) in ENDED and list(store.list(inbox.PREFIX)) == []

    async def run(store: MemoryStore, link: MortalStore) -> None:
        async with SerialSystem(store, encoder, link=link) as system:
            await system.until(lambda: link.dead or is_done(store))

    counting = CountingStore(counted := asked())
    play(partial(run, counted, MortalStore(counting)))
    for target in targets(counting.seen, pages=[page_key(bucket_of(BOATS.submission_id))], most=2):
        store = asked()
        play(partial(run, store, MortalStore(store, Aim(target, fault))))
        play(partial(run, store, MortalStore(store)))
        assert stage_of(store, BOATS) is Stage.CANCELLED


def test_a_coordinator_with_ten_thousand_submissions_begins_with_few_operations(
    encoder: Encoder,
) -> None:
    async def scene() -> None:
        inner = MemoryStore()
        tasks = [submission(f"task-{number}") for number in range(10_000)]
        lead = take_leadership(inner, owner="anna", host="", ttl_s=1.0, now=1.0)
        tickets = []
        for number, entry in enumerate(tasks):
            inner.put(entry.key, b"is not read")
            ended = number % 2 == 0  # lately, so that they are still on their page
            stage = Stage.CANCELLED if ended else Stage.WAITING
            tickets.append(replace(ticket_of(entry), stage=stage, since=1_000.0))
            if ended:
                inner.put(state_key(entry.submission_id), outcome_bytes(tickets[-1]))
        Ledger(inner, lead).save(tickets, now=1_000.0)
        counting = RecordingStore(inner)
        ask(inner, Pause(adapter="*"), who="anna")
        async with System(inner, encoder, link=MortalStore(counting)) as system:
            await system.until(lambda: list(inner.list(inbox.PREFIX)) == [])
            await system.until_looks(1)
        # A sweep reads the pages too, as far as it gets; no submission is looked into.
        assert sum(counting.operations.values()) < len(tasks) / 10, Counter(counting.keys)
        assert counting.operations["replace"] < 2 * PAGES
        assert counting.sent < 10 * 2**20

    play(scene)
