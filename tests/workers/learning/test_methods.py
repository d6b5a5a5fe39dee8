"""Methods other than the default one: learnt, published and answered with like any."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from adapters.adapter import Adapter
from adapters.errors import SettingsError
from adapters.methods import METHODS
from adapters.methods.harness_only import HARNESS_METHODS
from tests.support.conformance.method import LEARNT_FROM_IMAGES
from tests.support.drivers.learning import carried_out, small_task, submitted
from workers.encoding.encoder import Encoder
from workers.encoding.task_features import shards_and_views, training_features
from workers.intake.accept import accept
from workers.learning.evaluation import accuracies, task_test_set
from workers.learning.handover import PREFIX as WORK
from workers.queue.progress import State
from workers.queue.ticket import Stage
from workers.registry import Registry
from workers.registry.record_cache import Versions
from workers.serving.predictor import Predictor, Question
from workers.store import MemoryStore
from workers.tasks.submission import Submission
from workers.tasks.task import load_task

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[3] / "cluster" / "examples"

# As a task file says them; the defaults are for tasks of more than a few images.
DMC = {"image_epochs": 40, "prompt_epochs": 20, "context": 4, "image_learning_rate": 1e-2}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "dmc": {"adapter": "feature", **DMC},
    "dmc_ot": {"adapter": "feature", **DMC},
    "dual_rail": {},
    "gda": {},
    "lada": {"text": "residual", "steps": 60, "mixture_components": 2},
    "nearest_mean": {},
    "own_metric": {},
    "ran_pac": {"width": 400},
    "tip_adapter": {},
    "tip_adapter_f": {"epochs": 3},
    "zero_shot": {},
}


@pytest.fixture(scope="module")
def encoder(remembering: Encoder) -> Encoder:
    return remembering


def task_file(folder: Path, name: str, settings: Mapping[str, Any]) -> Path:
    """Return a small task with these settings alone."""
    path = small_task(EXAMPLES, folder, name)
    content = yaml.safe_load(path.read_text()) | {"settings": dict(settings)}
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_submission_is_learnt_by_what_it_carries_whatever_the_system_says(
    encoder: Encoder, tmp_path: Path
) -> None:
    store = MemoryStore()
    task = load_task(task_file(tmp_path, "digits", {}), method_of=lambda _adapter: "gda")
    submission = accept(task, store, now=1.0, author="anna", method="gda").submission
    (state,) = carried_out(store, encoder, submission, method="lada")
    assert state.ticket.stage is Stage.PUBLISHED
    (record,) = Versions(store).records("main", 1)
    assert (record.method, dict(record.settings)) == ("gda", submission.all_settings)


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """Two tasks that went through the whole queue by one method."""

    method: str
    store: MemoryStore
    submissions: tuple[Submission, ...]
    states: tuple[State, ...]


@pytest.fixture(scope="module", params=sorted(SETTINGS))
def learnt(
    request: pytest.FixtureRequest, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory
) -> Learnt:
    name, store = request.param, MemoryStore()
    folder = tmp_path_factory.mktemp(name)
    submissions = tuple(
        submitted(store, task_file(folder, task, SETTINGS[name]), now=float(n), method=name)
        for n, task in enumerate(("fashion", "digits"))
    )
    states = carried_out(store, encoder, *submissions, method=name)
    return Learnt(method=name, store=store, submissions=submissions, states=tuple(states))


def test_every_method_that_an_adapter_may_name_is_tried() -> None:
    assert SETTINGS.keys() == METHODS.keys() - LEARNT_FROM_IMAGES


def test_two_tasks_become_two_versions_and_nothing_is_left_over(learnt: Learnt) -> None:
    tickets = [state.ticket for state in learnt.states]
    assert [(ticket.stage, ticket.version) for ticket in tickets] == [
        (Stage.PUBLISHED, 1),
        (Stage.PUBLISHED, 2),
    ]
    assert list(learnt.store.list(WORK)) == []
    main = Registry(learnt.store).adapter("main")
    assert main.resolve("production") == 2
    assert {main.manifest(number).method for number in (1, 2)} == {learnt.method}


def test_the_first_tasks_record_stays_as_it_is_and_settings_are_complete(learnt: Learnt) -> None:
    main = Registry(learnt.store).adapter("main")
    assert main.manifest(2).tasks[:1] == main.manifest(1).tasks
    expected = METHODS[learnt.method].check_settings(SETTINGS[learnt.method])
    assert [dict(each.settings) for each in Versions(learnt.store).records("main", 2)] == [
        expected,
        expected,
    ]


def test_a_replica_answers_with_it(learnt: Learnt, encoder: Encoder) -> None:
    predictor = Predictor(encoder, Versions(learnt.store), adapters=("main",))
    assert predictor.follower("main").follow()
    version = predictor.version("main")
    right = total = 0
    for submission in learnt.submissions:
        task = training_features(
            learnt.store, submission, method=learnt.method, fingerprint=encoder.fingerprint
        )
        ranked = predictor.predict(task.features[:, 0], version, Question(top_k=10))
        for candidates, label in zip(ranked, task.labels.tolist(), strict=True):
            assert len(candidates) == 6
            # The probabilities of all columns, in float32.
            assert sum(each.score for each in candidates) == pytest.approx(1, abs=1e-5)
            right += candidates[0].class_id == task.classes[label].class_id
            total += 1
    # Of training images: the tiny encoder's text features alone are right about 0.44 of them, and
    # guessing about one in six.
    assert right / total > (0.3 if learnt.method == "zero_shot" else 0.6)


def test_a_version_that_grew_answers_like_one_that_was_loaded_at_once(
    learnt: Learnt, encoder: Encoder
) -> None:
    versions = Versions(learnt.store)
    growing, fresh = (Predictor(encoder, versions, adapters=("main",)) for _ in range(2))
    growing.version("main", 1)
    images = torch.nn.functional.normalize(
        torch.randn(9, encoder.width, generator=torch.Generator().manual_seed(4)), dim=1
    )
    scores = [
        predictor.version("main", 2).adapter.score(
            images, encoder=encoder.fingerprint, logit_scale=encoder.logit_scale
        )
        for predictor in (growing, fresh)
    ]
    assert torch.equal(scores[0].values, scores[1].values)


def test_what_was_measured_is_what_the_records_give(learnt: Learnt, encoder: Encoder) -> None:
    tasks = [
        task_test_set(learnt.store, each, fingerprint=encoder.fingerprint)
        for each in learnt.submissions
    ]
    state = Versions(learnt.store).state("main", 2)
    found = accuracies(Adapter(state.records, shared=state.shared), tasks, encoder)
    published = Registry(learnt.store).adapter("main").accuracies(2)
    assert {each.task: each.accuracy for each in published} == found


@pytest.mark.parametrize("name", sorted(HARNESS_METHODS))
def test_a_method_for_measuring_is_refused_by_the_task_and_by_the_queue(
    name: str, encoder: Encoder, tmp_path: Path
) -> None:
    expected = rf"expected one of cl_lora, .*found '{name}', .*measuring only; name one"
    path = task_file(tmp_path, "fashion", {})
    store = MemoryStore()
    with pytest.raises(SettingsError, match=expected):
        accept(load_task(path), store, method=name, now=1.0, author="anna")
    # Somebody changed the adapter's method after the task was submitted.
    (state,) = carried_out(store, encoder, submitted(store, path), method=name)
    assert state.ticket.stage is Stage.FAILED
    (failure,) = state.ticket.failures
    assert "measuring only; name one" in failure.error


def test_an_adapter_goes_on_with_the_method_that_it_began_with(
    encoder: Encoder, tmp_path: Path
) -> None:
    store = MemoryStore()
    first = submitted(store, task_file(tmp_path, "fashion", {}), method="nearest_mean")
    carried_out(store, encoder, first, method="nearest_mean")
    for method in ("gda", "lada"):
        path = task_file(tmp_path / method, "digits", SETTINGS[method])
        second = submitted(store, path, now=2.0, method=method)
        (state,) = carried_out(store, encoder, second, method=method)
        assert state.ticket.stage is Stage.FAILED
        (failure,) = state.ticket.failures
        assert "expected method 'nearest_mean', by which the adapter has learnt" in failure.error
    assert Registry(store).adapter("main").resolve("head") == 1


def test_settings_of_another_method_are_refused(tmp_path: Path) -> None:
    path = task_file(tmp_path, "fashion", {"aplha": 1.0})
    with pytest.raises(SettingsError, match="did you mean 'alpha'"):
        load_task(path, method_of=lambda _adapter: "gda")
    path = task_file(tmp_path / "views", "fashion", {"views": 3})
    with pytest.raises(SettingsError, match="unknown setting 'views'"):
        load_task(path, method_of=lambda _adapter: "gda")


def test_images_are_embedded_in_as_many_views_as_the_method_learns_from(tmp_path: Path) -> None:
    store = MemoryStore()
    submission = submitted(store, task_file(tmp_path, "fashion", {"views": 3}))
    counts = {
        shard.split: views.count for shard, views in shards_and_views(submission, method="lada")
    }
    assert counts == {"train": 3, "held_out": 1}
    with pytest.raises(SettingsError, match="views"):
        shards_and_views(submission, method="gda")
