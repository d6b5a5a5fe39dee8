"""A task whose classes count as those of another: submitted, learnt, measured and answered."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.support.drivers.learning import SETTINGS, published_by_hand, small_task, submitted
from workers.encoding.encoder import Encoder
from workers.encoding.task_features import class_entries, training_features
from workers.intake.intake import Intake, take_in
from workers.intake.naming import KnownNames
from workers.learning.evaluation import accuracies, task_test_set
from workers.registry.record_cache import Versions
from workers.serving.predictor import Predictor, Question
from workers.serving.version_cache import LoadedVersion
from workers.store import MemoryStore
from workers.tasks.submission import Submission
from workers.tasks.task import load_task

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[3] / "cluster" / "examples" / "digits"
CLASSES = ("0", "1", "2")
LONGER = {**SETTINGS, "steps": 100}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Digits, and other images of the same digits that another team submitted as more of them."""

    store: MemoryStore
    encoder: Encoder
    digits: Submission
    more: Intake

    def predictor(self) -> tuple[Predictor, LoadedVersion]:
        predictor = Predictor(self.encoder, Versions(self.store), adapters=("main",))
        predictor.follower("main").follow()
        return predictor, predictor.version("main")


def more_digits(folder: Path) -> Path:
    """Write a task of the images that `small_task` leaves out, under keys of its own."""
    for split, first in (("train", 8), ("test", 4)):
        for key in CLASSES:
            target = folder / split / f"digit-{key}"
            target.mkdir(parents=True)
            for path in sorted((EXAMPLES / split / key).iterdir())[first:]:
                shutil.copy(path, target)
    names = yaml.safe_load((EXAMPLES / "task.yaml").read_text())["classes"]
    content = {
        "name": "more-digits",
        "images": "train",
        "held_out": "test",
        "classes": {f"digit-{key}": names[key] for key in CLASSES},
        "settings": LONGER,
        "shared_names": "merge",
    }
    path = folder / "task.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture(scope="module")
def scene(encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    store, folder = MemoryStore(), tmp_path_factory.mktemp("merged")
    path = small_task(EXAMPLES.parent, folder, "digits", images=8)
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "settings": LONGER}))
    digits = submitted(store, path)
    published_by_hand(store, encoder, digits)
    task = load_task(more_digits(folder / "more"))
    more = take_in(
        task, store, now=2.0, author="ben", known=KnownNames(classes=class_entries(digits))
    )
    published_by_hand(store, encoder, more.submission)
    return Scene(store=store, encoder=encoder, digits=digits, more=more)


def test_the_record_remembers_what_its_classes_count_as(scene: Scene) -> None:
    records = Versions(scene.store).records("main", 2)
    assert [entry.counts_as for entry in records[1].classes] == [f"digits/{key}" for key in CLASSES]
    assert scene.more.notes()[-1].startswith("classes count as those of other tasks: ")


def test_images_of_either_task_are_answered_with_the_classes_that_were_there_first(
    scene: Scene,
) -> None:
    predictor, version = scene.predictor()
    fingerprint = scene.encoder.fingerprint
    for submission in (scene.digits, scene.more.submission):
        task = training_features(scene.store, submission, method="lada", fingerprint=fingerprint)
        ranked = predictor.predict(task.features[:, 0], version, Question(top_k=10))
        right = 0
        for candidates, label in zip(ranked, task.labels.tolist(), strict=True):
            ids = [candidate.class_id for candidate in candidates]
            assert sorted(map(str, ids)) == [f"digits/{key}" for key in CLASSES]
            assert {candidate.task for candidate in candidates} == {"digits"}
            # The probabilities of all columns add up, none is lost: float32 rules within 1e-6.
            assert sum(candidate.score for candidate in candidates) == pytest.approx(1, abs=1e-6)
            right += ids[0] == task.classes[label].counts_as
        assert right / len(ranked) > 0.8  # training images: almost all are right


def test_an_answer_with_either_class_is_right(scene: Scene) -> None:
    _, version = scene.predictor()
    tasks = [
        task_test_set(scene.store, submission, fingerprint=scene.encoder.fingerprint)
        for submission in (scene.digits, scene.more.submission)
    ]
    found = accuracies(version.adapter, tasks, scene.encoder)
    # If only a task's own ids were right, the second task's images would all be wrong.
    assert min(found.values()) > 0.7


def test_before_it_is_learnt_a_merged_class_is_right_as_the_other_too(scene: Scene) -> None:
    first = Versions(scene.store).records("main", 1)
    version = scene.predictor()[1].adapter
    tasks = [task_test_set(scene.store, scene.more.submission, fingerprint=version.encoder)]
    before = accuracies(type(version)(first), tasks, scene.encoder)
    # Version 1 has never seen the task, and answers with the classes that it counts as.
    assert before["more-digits"] > 0.7
