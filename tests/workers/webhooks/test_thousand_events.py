"""A thousand events through a receiver that is away for an hour, slow and wrong, in simulated time.

The coordinator is killed again and again meanwhile.
"""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from tests.support.drivers.simulation import Clock, InlineThreads, SimulatedLoop, simulate
from tests.support.fakes.crews import LIMITS, ScriptedCrew
from tests.support.fakes.faulty import MortalStore
from tests.support.fakes.receivers import AWAY, BROKEN, TAKEN, TOO_LATE, Receiver
from tests.support.scenes import registry as scenes
from tests.support.scenes.submissions import announced, submission
from tests.support.scenes.webhooks import webhook
from workers.coordination.coordinator import Coordinator
from workers.coordination.settings import Intervals, Setup
from workers.encoding.encoder import Encoder
from workers.queue import inbox
from workers.queue.events import Cancel, Pause
from workers.registry import Author
from workers.store import MemoryStore
from workers.webhooks.deliveries import read_deliveries
from workers.webhooks.sender import Answer, Parcel, WebhookSetup

pytestmark = pytest.mark.slow

ADAPTERS = ("main", "medical", "zoo")
SUBMISSIONS = 250
MOVES = 500
EVENTS = 2 * SUBMISSIONS + MOVES
HOUR_S = 3600.0
KILLED_EVERY_S = 700.0
PACE = Intervals(poll_s=5.0, report_s=5.0, lead_s=60.0, step_back_s=1.0)


@dataclass(frozen=True)
class Told:
    """What a receiver has been told, and what had happened."""

    receiver: Receiver
    submissions: tuple[str, ...]
    killed: int
    failing: int


@pytest.fixture(scope="module")
def told(encoder: Encoder) -> Told:
    def scene(loop: SimulatedLoop) -> "asyncio.Future[Told]":
        return asyncio.ensure_future(play(loop, encoder))

    return simulate(scene)


async def play(loop: SimulatedLoop, encoder: Encoder) -> Told:
    clock = Clock(loop)
    store = MemoryStore(clock=clock)
    begins = clock()
    rng = random.Random(7)

    def behaves(_parcel: Parcel, count: int) -> tuple[Answer, float]:
        if clock() - begins < HOUR_S:
            return AWAY, 0.0
        if count % 7 == 0:
            return BROKEN, 0.1
        if count % 31 == 0:
            return TOO_LATE, 10.0
        return TAKEN, rng.uniform(0.0, 0.4)

    receiver = Receiver(behaves=behaves)
    registered = webhook(store)
    inbox.ask(store, Pause(adapter="*"), who="anna")
    happening = asyncio.create_task(happen(store, clock))
    killed = 0
    while not (happening.done() and len(receiver.first_taken) >= EVENTS):
        link = MortalStore(store)
        setup = Setup(
            store=link,
            crew=ScriptedCrew(link, encoder, threads=InlineThreads()),
            clock=clock,
            limits=LIMITS,
            intervals=PACE,
            threads=InlineThreads(),
            webhooks=WebhookSetup(sender=receiver, poll_s=5.0, rng=random.Random(killed)),
        )
        running = asyncio.create_task(Coordinator(setup, owner="anna").run())
        await asyncio.wait([running, asyncio.create_task(ended(receiver))], timeout=KILLED_EVERY_S)
        link.kill()
        running.cancel()
        await asyncio.wait([running])
        killed += 1
        assert clock() - begins < 10 * HOUR_S, f"{len(receiver.first_taken)} of {EVENTS} were told"
    state = read_deliveries(store, registered.name, registered.id)
    return Told(receiver, await happening, killed, len(state.failing))


async def ended(receiver: Receiver) -> None:
    while len(receiver.first_taken) < EVENTS:
        await asyncio.sleep(30.0)


async def happen(store: MemoryStore, clock: Clock) -> tuple[str, ...]:
    """Let things happen for an hour and more; return the ids of the submissions."""
    adapters = [scenes.registry(store).create(name) for name in ADAPTERS]
    names = []
    for number in range(SUBMISSIONS):
        adapter = adapters[number % len(adapters)]
        if number < len(adapters):
            scenes.learn(adapter, "birds", "boats")  # two versions, each an event besides
        entry = submission(f"task-{number}", adapter=adapter.name)
        announced(store, replace(entry, accepted_at=clock()))
        names.append(entry.submission_id)
        for version in (1, 2):
            by = Author(who="anna", why="a test", now=clock())
            adapter.alias("canary", version, by=by)
        await asyncio.sleep(rng_s(number))
        inbox.ask(store, Cancel(submission_id=entry.submission_id), who="ben")
    return tuple(names)


def rng_s(number: int) -> float:
    return random.Random(number).uniform(0.0, 40.0)


def of_moves(told: Told) -> Iterator[Parcel]:
    return (each for each in told.receiver.first_taken if each.milestone.kind == "alias.moved")


def test_none_is_lost_and_none_invented(told: Told) -> None:
    assert told.killed > 5
    for name in told.submissions:
        assert told.receiver.kinds(name) == ["submission.accepted", "submission.cancelled"]
    assert len(list(of_moves(told))) == MOVES
    assert len(told.receiver.first_taken) == EVENTS + 2 * len(ADAPTERS)


def test_none_is_out_of_order_and_each_adapter_is_counted_without_a_gap(told: Told) -> None:
    for adapter in ADAPTERS:
        sequences = told.receiver.sequences(adapter)
        assert sequences == list(range(len(sequences)))


def test_moves_are_told_in_the_order_of_the_history(told: Told) -> None:
    for adapter in ADAPTERS:
        found = [each.milestone for each in of_moves(told) if each.milestone.adapter == adapter]
        assert [each.entry[0] for each in found if each.entry] == sorted(
            each.entry[0] for each in found if each.entry
        )
        assert {each.moves["canary"][1] for each in found} == {1, 2}


def test_what_is_told_again_says_the_same_under_the_same_id(told: Told) -> None:
    again = [name for name, tries in told.receiver.tries.items() if tries > 1]
    assert len(again) > 50
    said = {each.milestone.id: each.milestone for each in told.receiver.received}
    assert all(said[each.milestone.id] == each.milestone for each in told.receiver.received)


def test_while_the_receiver_is_away_it_is_tried_ever_more_rarely(told: Told) -> None:
    most = max(told.receiver.tries.values())
    assert 10 < most < 60, "an hour of at most five minutes' waits, and nine starts in between"


def test_who_asked_is_said(told: Told) -> None:
    name = told.submissions[-1]
    events = [each.milestone for each in told.receiver.first_taken]
    who = [each.who for each in events if each.submission == name]
    assert who == ["anna", "ben"]
