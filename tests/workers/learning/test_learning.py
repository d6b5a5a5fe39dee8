"""The whole way in one process: two tasks, two versions, and the first one never disturbed."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from adapters.adapter import Adapter
from tests.support.drivers.learning import carried_out, published_by_hand, small_task, submitted
from tests.support.scenes.tickets import set_ticket
from workers.encoding.encoder import Encoder
from workers.learning.evaluation import TaskTestSet, accuracies, task_test_set
from workers.learning.handover import PREFIX as WORK
from workers.learning.local_crew import LocalCrew
from workers.learning.publisher import Publisher
from workers.queue.ticket import Stage
from workers.registry import Manifest, Registry
from workers.registry.record_cache import Versions
from workers.store import FileStore, MemoryStore
from workers.tasks.submission import Submission


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """Two tasks that were submitted together and learnt one after the other."""

    store: FileStore
    submissions: tuple[Submission, Submission]
    stages: tuple[Stage, ...]
    versions: tuple[int | None, ...]

    def manifest(self, number: int) -> Manifest:
        return Registry(self.store).adapter("main").manifest(number)


@pytest.fixture(scope="module")
def learnt(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Learnt:
    folder = tmp_path_factory.mktemp("learnt")
    examples = Path(__file__).parents[3] / "cluster" / "examples"
    store = FileStore(folder / "store")
    first, second = (
        submitted(store, small_task(examples, folder, name), now=float(number))
        for number, name in enumerate(("fashion", "digits"))
    )
    tickets = [state.ticket for state in carried_out(store, encoder, first, second)]
    return Learnt(
        store=store,
        submissions=(first, second),
        stages=tuple(ticket.stage for ticket in tickets),
        versions=tuple(ticket.version for ticket in tickets),
    )


def test_two_tasks_become_versions_one_and_two(learnt: Learnt) -> None:
    assert learnt.stages == (Stage.PUBLISHED, Stage.PUBLISHED)
    assert learnt.versions == (1, 2)
    adapter = Registry(learnt.store).adapter("main")
    assert adapter.resolve("head") == adapter.resolve("production") == 2


def test_nothing_that_was_handed_over_is_left(learnt: Learnt) -> None:
    assert list(learnt.store.list(WORK)) == []


def test_the_second_version_holds_the_first_ones_record_untouched(learnt: Learnt) -> None:
    before, after = learnt.manifest(1).tasks, learnt.manifest(2).tasks
    assert [task.task for task in after] == ["fashion", "digits"]
    assert after[:1] == before
    records = Versions(learnt.store)
    assert records.records("main", 2)[0] is records.records("main", 1)[0]


def test_a_version_says_where_it_came_from(learnt: Learnt, encoder: Encoder) -> None:
    manifest = learnt.manifest(2)
    assert manifest.parent is not None
    assert manifest.parent.number == 1
    assert (manifest.encoder, manifest.method) == (encoder.fingerprint, "lada")
    assert [task.submission for task in manifest.tasks] == [
        entry.submission_id for entry in learnt.submissions
    ]


def measured_tasks(learnt: Learnt, encoder: Encoder) -> list[TaskTestSet]:
    return [
        task_test_set(learnt.store, entry, fingerprint=encoder.fingerprint)
        for entry in learnt.submissions
    ]


def test_accuracies_are_those_of_the_published_records(learnt: Learnt, encoder: Encoder) -> None:
    adapter = Registry(learnt.store).adapter("main")
    assert [entry.task for entry in adapter.accuracies(1)] == ["fashion"]
    again = accuracies(
        Adapter(Versions(learnt.store).records("main", 2)),
        measured_tasks(learnt, encoder),
        encoder,
    )
    published = {entry.task: entry.accuracy for entry in adapter.accuracies(2)}
    assert published == again
    assert [entry.images for entry in adapter.accuracies(2)] == [9, 9]


def test_version_one_scores_alike_to_the_bit_alone_and_inside_version_two(
    learnt: Learnt, encoder: Encoder
) -> None:
    features = measured_tasks(learnt, encoder)[0].features
    versions = Versions(learnt.store)
    alone, inside = (
        Adapter(versions.records("main", number)).score(
            features,
            encoder=encoder.fingerprint,
            logit_scale=encoder.logit_scale,
            tasks=["fashion"],
        )
        for number in (1, 2)
    )
    assert torch.equal(alone.values, inside.values)
    assert alone.classes == inside.classes


def test_a_task_that_was_not_learnt_takes_part_zero_shot(learnt: Learnt, encoder: Encoder) -> None:
    tasks = measured_tasks(learnt, encoder)
    zero_shot = accuracies(None, tasks, encoder)
    assert list(zero_shot) == ["fashion", "digits"]
    assert all(0 <= accuracy <= 1 for accuracy in zero_shot.values())
    after_one = accuracies(Adapter(Versions(learnt.store).records("main", 1)), tasks, encoder)
    assert list(after_one) == ["fashion", "digits"]


def test_a_task_without_held_out_images_is_not_measured(learnt: Learnt, encoder: Encoder) -> None:
    task = measured_tasks(learnt, encoder)[0]
    empty = replace(task, features=task.features[:0], labels=task.labels[:0])
    assert accuracies(None, [empty], encoder) == {}


def test_a_new_coordinator_finds_everything_done(learnt: Learnt, encoder: Encoder) -> None:
    states = carried_out(learnt.store, encoder, *learnt.submissions)
    assert [state.ticket.version for state in states] == [1, 2]
    assert Registry(learnt.store).adapter("main").refs().next_version == 3


def test_images_are_counted_through_all_shards(learnt: Learnt, encoder: Encoder) -> None:
    told: list[tuple[int, int]] = []
    crew = LocalCrew(encoder, learnt.store)
    submission = learnt.submissions[0]
    asyncio.run(crew.embed(submission, lambda *counts: told.append(counts), method="lada"))
    assert told == [(18, 27), (27, 27)]  # 18 images are learnt from, and 9 are test images


def test_what_head_holds_is_known_by_its_submission(learnt: Learnt, encoder: Encoder) -> None:
    publisher = Publisher(encoder, learnt.store, Versions(learnt.store))
    begun = [publisher.begin(entry, owner="tests", since=None) for entry in learnt.submissions]
    assert [entry.published and entry.published.version for entry in begun] == [1, 2]
    assert begun[0].epoch < begun[1].epoch


def test_an_earlier_attempt_at_the_same_task_does_not_stop_the_next(
    encoder: Encoder, examples: Path, tmp_path: Path
) -> None:
    """The first was never embedded, as when it failed; its images cannot be measured on."""
    store = MemoryStore()
    path = small_task(examples, tmp_path, "fashion", classes=2, images=4)
    abandoned = submitted(store, path)
    set_ticket(store, abandoned.submission_id, stage=Stage.FAILED)
    # What was wrong with it has been repaired: its images are others now.
    for image in path.parent.glob("test/*/01.*"):
        image.unlink()
    wanted = submitted(store, path, now=2.0)
    assert abandoned.task == wanted.task
    assert published_by_hand(store, encoder, wanted).version == 1
    accuracy = Registry(store).adapter("main").accuracies(1)
    assert [(entry.task, entry.images) for entry in accuracy] == [("fashion", 2)]


def test_the_same_task_learnt_anew_elsewhere_is_the_same_to_the_byte(
    learnt: Learnt, encoder: Encoder, examples: Path, tmp_path: Path
) -> None:
    store = MemoryStore()
    submission = submitted(store, small_task(examples, tmp_path, "fashion"), now=99.0)
    assert published_by_hand(store, encoder, submission).version == 1
    (found,) = Registry(store).adapter("main").manifest(1).tasks
    (expected,) = learnt.manifest(1).tasks
    assert found.record.sha256 == expected.record.sha256
