"""A whole queue in simulated time and without threads: minutes pass at once, and always alike."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import pytest

from tests.support.drivers.simulation import (
    Clock,
    InlineThreads,
    OneThreadStore,
    SimulatedLoop,
    simulate,
    until_ended,
)
from tests.support.fakes.crews import LIMITS, ScriptedCrew
from tests.support.scenes.submissions import announced, submission
from workers.coordination.coordinator import Coordinator
from workers.coordination.settings import Setup
from workers.encoding.encoder import Encoder
from workers.queue import inbox
from workers.queue.journal import read_journal
from workers.registry import Registry
from workers.store import MemoryStore
from workers.tasks.submission import Submission

BIRDS, BOATS, LIONS = (
    submission("birds"),
    submission("boats"),
    submission("lions", adapter="zoo"),
)
TASKS = (BIRDS, BOATS, LIONS)
TRAINING_S = 60.0
LOOKS_S = 0.01
"""What passes because somebody looks at the clock."""


@dataclass(frozen=True, kw_only=True)
class Played:
    """What a queue has done.

    Attributes:
        operations: On the store, in order, each with its key.
        journals: By task, the stages with the second in which each began.
        heads: By adapter, the tasks of `head` in their order.
    """

    operations: list[tuple[str, str]]
    journals: Mapping[str, list[tuple[str, float]]]
    heads: Mapping[str, list[str]]

    def began(self, task: str, stage: str) -> list[float]:
        """Return when a stage of `task` has begun, as often as it has."""
        return [at for named, at in self.journals[task] if named == stage]


@pytest.fixture(scope="module")
def played(encoder: Encoder) -> Played:
    return play(encoder)


def play(encoder: Encoder) -> Played:
    """Learn all tasks; the first training of boats breaks."""

    async def scene(loop: SimulatedLoop) -> Played:
        clock = Clock(loop)
        inner = MemoryStore(clock=clock)
        store = OneThreadStore(inner)
        crew = ScriptedCrew(store, encoder, threads=InlineThreads())
        crew.lasts = {("train", entry.task): TRAINING_S for entry in TASKS}
        crew.raises["train", "boats"].append(RuntimeError("a bug"))
        for entry in TASKS:
            announced(inner, entry)
        setup = Setup(store=store, crew=crew, clock=clock, limits=LIMITS, threads=InlineThreads())
        await until_ended(Coordinator(setup, owner="anna"), inner, TASKS)
        return Played(
            operations=[(operation, _lasting(key)) for operation, key in store.keys],
            journals={entry.task: _journal(inner, entry) for entry in TASKS},
            heads={name: _head(inner, name) for name in ("main", "zoo")},
        )

    return simulate(scene)


def test_every_task_is_published_in_its_adapter(played: Played) -> None:
    assert played.heads == {"main": ["birds", "boats"], "zoo": ["lions"]}


def test_a_training_takes_the_simulated_time_that_it_is_said_to_take(played: Played) -> None:
    (begun, _), (ended,) = played.began("birds", "training"), played.began("birds", "compressing")
    assert ended - begun == pytest.approx(TRAINING_S, abs=LOOKS_S)


def test_what_broke_waits_as_long_as_its_retry_policy_says(played: Played) -> None:
    waited, again = played.began("boats", "waiting")[-1], played.began("boats", "training")[2]
    assert again - waited == pytest.approx(LIMITS.retry_policy.first_s, abs=LOOKS_S)


def test_one_is_learnt_at_a_time(played: Played) -> None:
    ends = sorted(at for entry in TASKS for at in played.began(entry.task, "compressing"))
    assert all(later - earlier >= TRAINING_S for earlier, later in pairwise(ends))


def test_the_same_queue_does_the_same_to_the_last_operation(
    played: Played, encoder: Encoder
) -> None:
    assert play(encoder) == played
    assert len(played.operations) > 100


def _journal(store: MemoryStore, entry: Submission) -> list[tuple[str, float]]:
    return [(event.stage, event.at) for event in read_journal(store, entry.submission_id)]


def _head(store: MemoryStore, adapter: str) -> list[str]:
    return [task.task for task in Registry(store).adapter(adapter).manifest("head").tasks]


def _lasting(key: str) -> str:
    """Return what a key has in common with that of another time.

    Requests are named at random, and the digests that name the history's entries cover write ids.
    """
    return inbox.PREFIX if key.startswith(inbox.PREFIX) else re.sub("[0-9a-f]{64}", "*", key)
