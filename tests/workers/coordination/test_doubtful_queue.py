"""A queue on a store that is not to be believed, in simulated time: each task is learnt once."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.support.drivers.simulation import Clock, InlineThreads, SimulatedLoop, simulate
from tests.support.fakes.crews import LIMITS, ScriptedCrew
from tests.support.fakes.doubtful_store import DoubtfulStore, RememberingStore
from tests.support.scenes.submissions import announced, submission, written
from workers.coordination.coordinator import Coordinator
from workers.coordination.settings import Setup
from workers.encoding.encoder import Encoder
from workers.queue.leadership import KEY, Leadership, read_leadership
from workers.queue.progress import find_state
from workers.queue.ticket import ENDED, Stage, Ticket
from workers.registry import Registry
from workers.store import MemoryStore, ObjectStore
from workers.tasks.submission import submission_key

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
        await until_all_have_ended(Coordinator(setup, owner="anna"), truth)
        return Learnt(
            tickets={t.task: find_state(truth, t.submission_id).ticket for t in TASKS},
            lead=read_leadership(truth),
            trainings=sorted(task for call, task in crew.calls if call == "train"),
            heads={name: tasks_of(truth, name) for name in ("main", "zoo")},
            denied=len(seen.denied) + len(seen_by_crew.denied),
            went_back=len(seen.went_back) + len(seen_by_crew.went_back),
        )

    return simulate(scene)


async def until_all_have_ended(coordinator: Coordinator, truth: ObjectStore) -> None:
    running = asyncio.create_task(coordinator.run())
    while any(find_state(truth, t.submission_id).ticket.stage not in ENDED for t in TASKS):
        assert not running.done()
        await asyncio.sleep(1)
    coordinator.stop()
    await running


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


def test_a_submission_that_is_denied_for_longer_than_anybody_asks_is_learnt_in_the_same_term(
    encoder: Encoder,
) -> None:
    async def scene(loop: SimulatedLoop) -> tuple[Ticket, Leadership | None]:
        clock = Clock(loop)
        truth = RememberingStore(MemoryStore(clock=clock))
        seen = DoubtfulStore(truth, clock=loop.time, sleep=loop.advance)
        for entry in TASKS:
            written(truth, entry)
        seen.deny(200.0, lambda key: key == submission_key(BIRDS.submission_id))
        crew = ScriptedCrew(seen, encoder, threads=InlineThreads())
        setup = Setup(store=seen, crew=crew, clock=clock, limits=LIMITS, threads=InlineThreads())
        await until_all_have_ended(Coordinator(setup, owner="anna"), truth)
        return find_state(truth, BIRDS.submission_id).ticket, read_leadership(truth)

    ticket, lead = simulate(scene)
    assert (ticket.stage, ticket.attempts) == (Stage.PUBLISHED, 0)
    assert lead is not None
    assert lead.epoch == 1
