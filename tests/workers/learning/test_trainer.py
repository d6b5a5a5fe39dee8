"""The trainer: wherever it is left, the record comes out the same to the byte."""

import asyncio
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from adapters.methods.lada.method import Lada
from tests.support.drivers.learning import carried_out, published_by_hand, small_task, submitted
from tests.support.drivers.operations import Aim, Target
from tests.support.fakes.faulty import MortalStore
from workers.encoding.encoder import Encoder
from workers.learning.crew import Assignment
from workers.learning.handover import (
    checkpoint_key,
    hand_over,
    handover_key,
    is_handed_over,
    take_over,
)
from workers.learning.local_crew import LocalCrew
from workers.learning.mixture_fitter import MixtureFitter
from workers.learning.trainer import REPORT_EVERY, Trainer
from workers.queue.ticket import Stage
from workers.registry import Registry
from workers.registry.record_cache import Versions
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import Fault
from workers.tasks.submission import Submission

pytestmark = pytest.mark.slow

CHECKPOINT_EVERY = 2 * REPORT_EVERY
STEPS = CHECKPOINT_EVERY + REPORT_EVERY + 3
ALL_STEPS = 2 * STEPS
"""Those of the trial, which the temperature is fitted on, among them."""
Stored = dict[str, bytes]


@pytest.fixture(scope="module")
def encoder(remembering: Encoder) -> Encoder:
    return remembering


@pytest.fixture(scope="module", autouse=True)
def tempered() -> Iterator[None]:
    """Have a method of many steps fit temperatures, so that its trial can be broken off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lada, "tempered", True)
        yield


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A store with a version, and a task that is embedded and to be learnt on top of it.

    Attributes:
        contents: What the store holds.
        encoder: Embeds.
        submission: The task.
    """

    contents: Stored
    encoder: Encoder
    submission: Submission

    def store(self) -> MemoryStore:
        """Return a store of one's own."""
        store = MemoryStore()
        for key, data in self.contents.items():
            store.put(key, data)
        return store

    def assignment(self, parent: int = 1) -> Assignment:
        """Return what is to be learnt on top of version `parent`."""
        return Assignment(
            submission=self.submission,
            method="lada",
            encoder=self.encoder.fingerprint,
            parent=parent,
        )

    def train(self, store: ObjectStore, parent: int = 1) -> Generator[tuple[int, int], None, None]:
        """Begin to learn with a trainer that knows nothing yet."""
        trainer = Trainer(self.encoder, store, Versions(store), checkpoint_every=CHECKPOINT_EVERY)
        training = trainer.train(self.assignment(parent))
        assert isinstance(training, Generator)
        return training

    def record(self, store: ObjectStore, parent: int = 1) -> bytes:
        """Finish what was begun, and return the record."""
        list(self.train(store, parent))
        assignment = self.assignment(parent)
        compressor = MixtureFitter(store)
        parts = compressor.parts(assignment, most=1)
        mixtures = [mixture for part in parts for mixture in compressor.fit(assignment, part)]
        compressor.finish(assignment, mixtures)
        return take_over(store, handover_key(self.submission.submission_id, parent, "record"))


@pytest.fixture(scope="module")
def scene(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("trainer")
    examples = Path(__file__).parents[3] / "cluster" / "examples"
    store = MemoryStore()
    first = submitted(store, small_task(examples, folder, "fashion", classes=2), now=1.0)
    published_by_hand(store, encoder, first)
    path = small_task(examples, folder, "digits", classes=2, settings={"steps": STEPS})
    task = submitted(store, path, now=2.0)
    crew = LocalCrew(encoder, store)
    asyncio.run(crew.embed(task, lambda _done, _total: None, method="lada"))
    contents = {entry.key: store.get(entry.key).data for entry in store.list("")}
    return Scene(contents=contents, encoder=encoder, submission=task)


@pytest.fixture(scope="module")
def undisturbed(scene: Scene) -> bytes:
    return scene.record(scene.store())


def test_steps_are_told_every_now_and_then_and_the_last_one(scene: Scene) -> None:
    told = list(scene.train(scene.store()))
    done = [*range(0, STEPS, REPORT_EVERY), STEPS]
    trying = [STEPS + steps for steps in done[1:]]
    assert told == [(steps, ALL_STEPS) for steps in (*done, *trying)]


LEFT_AT = [
    # nothing was learnt yet
    0,
    # before the first checkpoint, so that it begins anew
    CHECKPOINT_EVERY - REPORT_EVERY,
    # right after a checkpoint, and some steps after it
    CHECKPOINT_EVERY,
    CHECKPOINT_EVERY + REPORT_EVERY,
    # all steps are done, and nothing is handed over yet
    STEPS,
    # in the trial: what was learnt is handed over
    STEPS + REPORT_EVERY,
    STEPS + CHECKPOINT_EVERY + REPORT_EVERY,
    ALL_STEPS,
]


@pytest.mark.parametrize("left_at", LEFT_AT)
def test_wherever_a_training_is_left_another_one_ends_with_the_same_record(
    scene: Scene, undisturbed: bytes, left_at: int
) -> None:
    store = scene.store()
    with closing(scene.train(store)) as training:
        assert any(done == left_at for done, _ in training)
    has_checkpoint = is_handed_over(store, checkpoint_key(scene.submission.submission_id))
    assert has_checkpoint == (left_at >= CHECKPOINT_EVERY)
    done, _ = next(scene.train(store))
    # In either of the two it goes on from the last checkpoint.
    of_trial = max(left_at - STEPS, 0) // CHECKPOINT_EVERY * CHECKPOINT_EVERY
    begun = CHECKPOINT_EVERY if has_checkpoint else 0
    assert done == (STEPS + of_trial if left_at > STEPS else begun)
    assert scene.record(store) == undisturbed


def test_who_cancels_a_training_ends_it_and_another_one_ends_with_the_same_record(
    scene: Scene, undisturbed: bytes
) -> None:
    store = scene.store()
    told: list[int] = []

    async def run() -> None:
        crew = LocalCrew(scene.encoder, store, checkpoint_every=CHECKPOINT_EVERY)

        def progress(done: int, total: int) -> None:
            told.append(done)
            if done == REPORT_EVERY:
                training.cancel()
            assert total == ALL_STEPS

        training = asyncio.create_task(crew.train(scene.assignment(), progress))
        await asyncio.wait([training])
        assert training.cancelled()

    asyncio.run(run())
    assert told == [0, REPORT_EVERY]
    assert scene.record(store) == undisturbed


def test_what_was_learnt_is_not_learnt_again(scene: Scene, undisturbed: bytes) -> None:
    store = scene.store()
    list(scene.train(store))
    assert list(scene.train(store)) == [(1, 1)]
    assert scene.record(store) == undisturbed


def test_what_was_begun_on_another_version_is_begun_anew(scene: Scene) -> None:
    """A rollback in the middle: the checkpoint was made on top of what is no longer there."""
    fresh, store = scene.store(), scene.store()
    training = scene.train(store, parent=1)
    assert any(done == CHECKPOINT_EVERY for done, _ in training)
    assert next(scene.train(store, parent=0)) == (0, ALL_STEPS)
    assert scene.record(store, parent=0) == scene.record(fresh, parent=0)


Write = Callable[[ObjectStore, str], None]
DAMAGES: list[Write] = [
    # bytes that are not those that were written, and those of something else
    lambda store, key: store.put(key, b""),
    lambda store, key: hand_over(store, key, b"not a checkpoint"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_begun_anew(
    scene: Scene, undisturbed: bytes, damage: Write
) -> None:
    store = scene.store()
    damage(store, checkpoint_key(scene.submission.submission_id))
    assert scene.record(store) == undisturbed


def test_damaged_handovers_are_made_again(scene: Scene, undisturbed: bytes) -> None:
    store, name = scene.store(), scene.submission.submission_id
    for stage in ("learnt", "fitted", "record"):
        store.put(handover_key(name, 1, stage), b"damaged")
    assert scene.record(store) == undisturbed


def test_a_record_is_the_same_in_however_many_parts_its_mixtures_are_fitted(
    scene: Scene, undisturbed: bytes
) -> None:
    store, assignment = scene.store(), scene.assignment()
    list(scene.train(store))
    compressor = MixtureFitter(store)
    parts = compressor.parts(assignment, most=99)
    assert parts == [range(1), range(1, 2)]
    mixtures = [mixture for part in parts for mixture in compressor.fit(assignment, part)]
    compressor.finish(assignment, mixtures)
    key = handover_key(scene.submission.submission_id, 1, "record")
    assert take_over(store, key) == undisturbed
    assert compressor.parts(assignment, most=99) == []  # there is nothing left to fit


PARTS = [
    # classes and the most parts; which classes each part has
    (1, 4, [1]),
    (5, 2, [3, 2]),
    (6, 4, [2, 2, 2]),
    (7, 3, [3, 3, 1]),
    (2, 1, [2]),
]


@pytest.mark.parametrize(("classes", "most", "sizes"), PARTS)
def test_classes_are_shared_out_in_order(
    scene: Scene, classes: int, most: int, sizes: list[int]
) -> None:
    few = tuple(scene.submission.classes[:1]) * classes
    assignment = Assignment(
        submission=replace(scene.submission, classes=few), method="lada", encoder="tiny"
    )
    compressor = MixtureFitter(MemoryStore())
    parts = compressor.parts(assignment, most=most)
    assert [len(part) for part in parts] == sizes
    assert [index for part in parts for index in part] == list(range(classes))


KILLED_AT = [
    # half learnt, with and without a checkpoint
    (Target("put", "work/ID/checkpoint", 0), Fault.CRASH),
    (Target("put", "work/ID/checkpoint", 0), Fault.CRASH_AFTER),
    # learnt, and the record is next
    (Target("put", "work/ID/1/learnt", 0), Fault.CRASH_AFTER),
    # in the trial, before its temperature is there and after
    (Target("put", "work/ID/trial", 0), Fault.CRASH_AFTER),
    (Target("put", "work/ID/1/fitted", 0), Fault.CRASH),
    (Target("put", "work/ID/1/fitted", 0), Fault.CRASH_AFTER),
    # right before and right after the commit; the first change of the refs is the fence
    (Target("replace", "refs/main.json", 1), Fault.CRASH),
    (Target("replace", "refs/main.json", 1), Fault.CRASH_AFTER),
]


@pytest.mark.parametrize(("target", "fault"), KILLED_AT)
def test_after_a_kill_the_next_coordinator_ends_with_the_same_record(
    scene: Scene, undisturbed: bytes, target: Target, fault: Fault
) -> None:
    store, name = scene.store(), scene.submission.submission_id
    aim = Aim(Target(target.operation, target.kind.replace("ID", name), target.occurrence), fault)
    link = MortalStore(store, aim)
    carry_out = partial(carried_out, checkpoint_every=CHECKPOINT_EVERY)
    carry_out(store, scene.encoder, scene.submission, link=link)
    assert link.dead
    (state,) = carry_out(store, scene.encoder, scene.submission)
    assert (state.ticket.stage, state.ticket.version) == (Stage.PUBLISHED, 2)
    main = Registry(store).adapter("main")
    assert main.record_bytes(main.manifest(2).tasks[1]) == undisturbed
    assert main.refs().next_version == 3
