"""A queue on a store that is not to be believed, in simulated time: each task is learnt once."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.support.drivers.simulation import (
    BEGINS_AT,
    Clock,
    InlineThreads,
    SimulatedLoop,
    simulate,
    until_ended,
)
from tests.support.fakes.crews import LIMITS, ScriptedCrew
from tests.support.fakes.doubtful_store import DoubtfulStore, RememberingStore
from tests.support.scenes.submissions import announced, submission, written
from workers.coordination.coordinator import Coordinator
from workers.coordination.settings import Setup
from workers.encoding.encoder import Encoder
from workers.queue.events import Cancel
from workers.queue.inbox import ask, waiting
from workers.queue.leadership import KEY, Leadership, read_leadership
from workers.queue.progress import find_state
from workers.queue.ticket import ENDED, Cause, Stage, Ticket
from workers.registry import Registry
from workers.store import MemoryStore, ObjectStore
from workers.tasks.submission import Submission

BIRDS, BOATS, LIONS, WHALES = (
    submission("birds"),
    submission("boats"),
    submission("lions", adapter="zoo"),
    submission("whales", adapter="zoo"),
)
TASKS = (BIRDS, BOATS, LIONS, WHALES)
TRAINING_S = 60.0
Denies = Callable[[float], bool]


@dataclass(frozen=True, kw_only=True)
class Doubts:
    """How a store is not to be believed.

    Attributes:
        denies: Says of a moment whether everything is denied then.
        old: Says of a key whether every second read of it is from before.
    """

    denies: Denies = field(default=lambda _now: False)
    old: Callable[[str], bool] = field(default=lambda _key: False)


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What has come of the tasks.

    Attributes:
        tickets: By task.
        lead: Who led at last.
        trainings: The tasks that were trained, as often as they were.
        heads: By adapter, the tasks of `head` in their order.
        denied: How often something was denied that was there.
        went_back: How often an answer was from before.
    """

    tickets: dict[str, Ticket]
    lead: Leadership | None
    trainings: list[str]
    heads: dict[str, list[str]]
    denied: int
    went_back: int


def changed_by_condition(key: str) -> bool:
    return key.startswith(("refs/", "queue/pages/")) or key == KEY


def seconds_of(length_s: float, *, every_s: float) -> Denies:
    return lambda now: now % every_s < length_s


def learn(encoder: Encoder, doubts: Doubts) -> Learnt:
    """Let a coordinator and its roles, each with its own way to the store, learn all tasks."""

    async def scene(loop: SimulatedLoop) -> Learnt:
        clock = Clock(loop)
        truth = RememberingStore(MemoryStore(clock=clock))

        def way() -> DoubtfulStore:
            return DoubtfulStore(
                truth, denies=doubts.denies, old=doubts.old, clock=loop.time, sleep=loop.advance
            )

        seen_by_crew, seen = way(), way()
        crew = ScriptedCrew(seen_by_crew, encoder, threads=InlineThreads())
        crew.lasts = {("train", entry.task): TRAINING_S for entry in TASKS}
        for entry in (BIRDS, BOATS, LIONS):
            announced(truth, entry)
        written(truth, WHALES)  # its submitter died before it could announce it
        setup = Setup(store=seen, crew=crew, clock=clock, limits=LIMITS, threads=InlineThreads())
        await until_ended(Coordinator(setup, owner="anna"), truth, TASKS)
        return Learnt(
            tickets={t.task: find_state(truth, t.submission_id).ticket for t in TASKS},
            lead=read_leadership(truth),
            trainings=sorted(task for call, task in crew.calls if call == "train"),
            heads={name: tasks_of(truth, name) for name in ("main", "zoo")},
            denied=len(seen.denied) + len(seen_by_crew.denied),
            went_back=len(seen.went_back) + len(seen_by_crew.went_back),
        )

    return simulate(scene)


def tasks_of(store: ObjectStore, adapter: str) -> list[str]:
    return [task.task for task in Registry(store).adapter(adapter).manifest("head").tasks]


def check_all_learnt_once(learnt: Learnt) -> None:
    assert learnt.heads == {"main": ["birds", "boats"], "zoo": ["lions", "whales"]}
    assert learnt.trainings == sorted(entry.task for entry in TASKS)
    for ticket in learnt.tickets.values():
        assert (ticket.stage, ticket.attempts, ticket.round) == (Stage.PUBLISHED, 0, 1)
    assert learnt.lead is not None
    assert learnt.lead.epoch == 1


DENIALS = [
    # a node of four is started anew, again and again
    (1.0, 7.0),
    (2.5, 11.0),
    # whatever is asked for first is denied
    (0.05, 0.2),
]


@pytest.mark.parametrize(("length_s", "every_s"), DENIALS)
def test_seconds_of_denials_throughout_use_up_no_attempt_and_end_no_coordinator(
    length_s: float, every_s: float, encoder: Encoder
) -> None:
    learnt = learn(encoder, Doubts(denies=seconds_of(length_s, every_s=every_s)))
    check_all_learnt_once(learnt)
    assert learnt.denied > 30


def test_answers_from_before_throughout_neither_interrupt_nor_repeat_anything(
    encoder: Encoder,
) -> None:
    learnt = learn(encoder, Doubts(old=changed_by_condition))
    check_all_learnt_once(learnt)
    assert learnt.went_back > 30


def test_denials_and_answers_from_before_together_change_nothing_either(encoder: Encoder) -> None:
    denies = seconds_of(1.0, every_s=5.0)
    learnt = learn(encoder, Doubts(denies=denies, old=changed_by_condition))
    check_all_learnt_once(learnt)
    assert min(learnt.denied, learnt.went_back) > 30


@dataclass(kw_only=True)
class Running:
    """A coordinator in simulated time whose way to the store can be disturbed.

    Attributes:
        truth: What there really is.
        seen: The coordinator's way to it, and its crew's.
    """

    # Owns: the coordinator.

    loop: SimulatedLoop
    encoder: Encoder

    def __post_init__(self) -> None:
        clock = Clock(self.loop)
        self.truth = RememberingStore(MemoryStore(clock=clock))
        self.seen = DoubtfulStore(self.truth, clock=self.loop.time, sleep=self.loop.advance)
        crew = ScriptedCrew(self.seen, self.encoder, threads=InlineThreads())
        setup = Setup(
            store=self.seen, crew=crew, clock=clock, limits=LIMITS, threads=InlineThreads()
        )
        self._coordinator = Coordinator(setup, owner="anna")

    async def until(self, is_reached: Callable[[], bool]) -> None:
        """Coordinate until something is reached, under one lead."""
        running = asyncio.create_task(self._coordinator.run())
        while not is_reached():
            assert not running.done()
            await asyncio.sleep(1)
        lead = read_leadership(self.truth)
        assert lead is not None
        assert lead.epoch == 1
        self._coordinator.stop()
        await running

    def ticket(self, entry: Submission) -> Ticket:
        """Return the ticket of a submission as it is stored."""
        return find_state(self.truth, entry.submission_id).ticket

    def has_ended(self, *entries: Submission) -> bool:
        """Return whether all have ended."""
        return all(self.ticket(entry).stage in ENDED for entry in entries)


def test_a_submission_that_is_denied_for_longer_than_anybody_asks_is_learnt_in_the_same_term(
    encoder: Encoder,
) -> None:
    async def scene(loop: SimulatedLoop) -> Ticket:
        system = Running(loop=loop, encoder=encoder)
        for entry in TASKS:
            written(system.truth, entry)
        system.seen.deny(200.0, lambda key: key == BIRDS.key)
        await system.until(lambda: system.has_ended(*TASKS))
        return system.ticket(BIRDS)

    ticket = simulate(scene)
    assert (ticket.stage, ticket.attempts) == (Stage.PUBLISHED, 0)


def test_what_stays_away_is_told_in_its_ticket_and_holds_up_nobody_else(encoder: Encoder) -> None:
    async def scene(loop: SimulatedLoop) -> tuple[Ticket, Ticket]:
        system = Running(loop=loop, encoder=encoder)
        for entry in (BIRDS, LIONS):
            announced(system.truth, entry)
        system.seen.deny(300.0, lambda key: key == BIRDS.key)
        told: list[Ticket] = []

        def reached() -> bool:
            birds = system.ticket(BIRDS)
            if birds.failures and not told and system.has_ended(LIONS):
                told.append(birds)
            return system.has_ended(BIRDS)

        await system.until(reached)
        return told[0], system.ticket(BIRDS)

    told, published = simulate(scene)
    assert (told.attempts, told.failures[-1].cause) == (0, Cause.OUTAGE)
    assert "is missing" in str(told.error)
    assert "asked 10 times in 21 s), although its ticket names it" in str(told.error)
    assert (published.stage, published.attempts) == (Stage.PUBLISHED, 0)


def test_a_wish_is_not_taken_note_of_before_what_it_is_about(encoder: Encoder) -> None:
    async def scene(loop: SimulatedLoop) -> Ticket:
        system = Running(loop=loop, encoder=encoder)
        announced(system.truth, LIONS)

        def reached() -> bool:
            if loop.time() > BEGINS_AT + 10 and not inbox_of_whales:
                announced(system.truth, WHALES)
                inbox_of_whales.extend(entry.key for entry in waiting(system.truth))
                ask(system.truth, Cancel(submission_id=WHALES.submission_id), who="anna")
                system.seen.deny(20.0, lambda key: key in inbox_of_whales)
            return bool(inbox_of_whales) and system.has_ended(LIONS, WHALES)

        inbox_of_whales: list[str] = []
        await system.until(reached)
        assert set(inbox_of_whales) <= set(system.seen.denied)
        return system.ticket(WHALES)

    assert simulate(scene).stage is Stage.CANCELLED
