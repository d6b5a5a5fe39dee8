"""RAIL's identities."""

from collections.abc import Sequence
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from adapters.adapter import Adapter, UnseenClasses
from adapters.contract.adapter_state import AdapterState
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.errors import CorruptionError, InputError, SettingsError
from adapters.measures import continual_measures
from adapters.methods import measured_method
from adapters.methods.rail.fusion import RailScorer
from adapters.methods.rail.kernel_ridge import KernelRidge, rbf
from adapters.methods.rail.primal import PrimalRailScorer
from adapters.parts.probabilities import log_probabilities
from adapters.parts.random_features import random_features, uniform_projection
from adapters.towers.text_side import TextSide
from tests.adapters.parts.test_statistics import all_at_once, three_tasks
from tests.adapters.synthetic import ENCODER, SCALE, class_means, clusters, entries, unit_rows
from tests.support.scenes.training import learn

RIDGE = 0.1


def recursive_ridge(tasks: Sequence[TaskFeatures], projection: Tensor) -> Tensor:
    """The published recursion: M is the inverse of the bracket, W the weights of all classes."""
    width = len(projection)
    inverse = torch.eye(width, dtype=torch.float64) / RIDGE
    weights = torch.zeros(width, 0, dtype=torch.float64)
    for task in tasks:
        mapped = random_features(task.features[:, 0].double(), projection.double())
        inverse = with_images(inverse, mapped)
        targets = one_hot(task.labels, len(task.classes)).double()
        kept = weights - inverse @ mapped.t() @ (mapped @ weights)
        weights = torch.cat([kept, inverse @ mapped.t() @ targets], dim=1)
    return weights


def with_images(inverse: Tensor, mapped: Tensor) -> Tensor:
    """Return the inverse with the images of one more task in it."""
    inner = torch.eye(len(mapped), dtype=torch.float64) + mapped @ inverse @ mapped.t()
    updated: Tensor = inverse - inverse @ mapped.t() @ torch.linalg.solve(inner, mapped @ inverse)
    return updated


def test_the_recursion_equals_joint_ridge_and_what_primal_rail_solves() -> None:
    tasks, projection = three_tasks(), uniform_projection(24, 80, 0)
    joint = all_at_once(tasks)
    mapped = random_features(joint.features[:, 0].double(), projection.double())
    gram = mapped.t() @ mapped + RIDGE * torch.eye(80, dtype=torch.float64)
    expected = torch.linalg.solve(gram, mapped.t() @ one_hot(joint.labels).double())
    torch.testing.assert_close(recursive_ridge(tasks, projection), expected)
    records: list[Record] = []
    method, settings = measured_method("primal_rail"), {"width": 80, "ridge": RIDGE}
    for task in tasks:
        text = class_means(task)
        records.append(learn(method, task, records, text=text, settings=settings, seed=1))
    scorer = method.scorer(AdapterState(records=tuple(records)))
    assert isinstance(scorer, PrimalRailScorer)
    # Its products are float32.
    torch.testing.assert_close(scorer.weights.double(), expected, rtol=1e-3, atol=1e-4)


def test_the_recursions_inverse_equals_the_direct_one() -> None:
    """Woodbury: (R + H^T H)^-1 = R^-1 - R^-1 H^T (I + H R^-1 H^T)^-1 H R^-1, task by task."""
    tasks, projection = three_tasks(), uniform_projection(24, 80, 0)
    direct = RIDGE * torch.eye(80, dtype=torch.float64)
    inverse = torch.linalg.inv(direct)
    for task in tasks:
        mapped = random_features(task.features[:, 0].double(), projection.double())
        inverse = with_images(inverse, mapped)
        direct += mapped.t() @ mapped
        torch.testing.assert_close(inverse, torch.linalg.inv(direct))


def test_the_linear_dual_equals_the_primal() -> None:
    task, images = clusters(classes=3, images=10), unit_rows(7, 24, seed=3).double()
    regression = KernelRidge.empty(lambda x, y: x @ y.t(), ridge=RIDGE, width=24)
    regression = regression.extended(task.features[:, 0], task.labels, classes=3)
    learnt = task.features[:, 0].double()
    gram = learnt.t() @ learnt + RIDGE * torch.eye(24, dtype=torch.float64)
    primal = torch.linalg.solve(gram, learnt.t() @ one_hot(task.labels).double())
    dual = images @ regression.images.t() @ regression.coefficients
    torch.testing.assert_close(dual, images @ primal)


def test_a_factor_that_grew_equals_one_made_at_once() -> None:
    tasks = three_tasks()
    grown = KernelRidge.empty(partial(rbf, gamma=0.3), ridge=1e-3, width=24)
    at_once = grown.extended(
        all_at_once(tasks).features[:, 0], all_at_once(tasks).labels, classes=2 + 3 + 4
    )
    for task in tasks:
        grown = grown.extended(task.features[:, 0], task.labels, classes=len(task.classes))
    torch.testing.assert_close(grown.factor, at_once.factor)
    torch.testing.assert_close(grown.coefficients, at_once.coefficients)
    kernel = rbf(grown.images, grown.images, gamma=0.3)
    ridge = 1e-3 * torch.eye(len(kernel), dtype=torch.float64)
    targets = one_hot(all_at_once(tasks).labels).double()
    torch.testing.assert_close((kernel + ridge) @ grown.coefficients, targets)


@pytest.mark.parametrize("name", ["primal_rail", "dual_rail"])
def test_transfer_equals_that_of_zero_shot_exactly(name: str) -> None:
    tasks = three_tasks()
    # Poor anchors: zero-shot is right about some images and wrong about others.
    sides = [
        TextSide(
            features=normalize(class_means(task).features, dim=-1)
            + 0.8 * unit_rows(len(task.classes), 24, seed=50 + place),
            logit_scale=SCALE,
        )
        for place, task in enumerate(tasks)
    ]
    rail = matrix(name, tasks, sides)
    zero_shot = matrix("zero_shot", tasks, sides)
    assert continual_measures(rail).transfer == continual_measures(zero_shot).transfer
    for column in range(1, 3):
        for row in range(column):
            assert rail[row][column] == zero_shot[row][column]
    assert rail[2] != zero_shot[2]


def matrix(
    name: str, tasks: Sequence[TaskFeatures], sides: Sequence[TextSide]
) -> list[list[float]]:
    """Return accuracies after each task, all classes being candidates."""
    method, records, rows = measured_method(name), list[Record](), []
    for place, task in enumerate(tasks):
        settings = {"width": 80} if name == "primal_rail" else {}
        text = sides[place]
        records.append(learn(method, task, records, text=text, settings=settings, seed=1))
        adapter = Adapter(records, method=method)
        rest = range(place + 1, len(tasks))
        unseen = UnseenClasses(
            classes=tuple(entry for later in rest for entry in tasks[later].classes),
            text_features=torch.cat(
                [torch.zeros(0, 24), *(sides[later].features for later in rest)]
            ),
        )
        rows.append([accuracy(adapter, measured, unseen) for measured in tasks])
    return rows


def accuracy(adapter: Adapter, task: TaskFeatures, unseen: UnseenClasses) -> float:
    predicted = adapter.predict(
        task.features[:, 0], encoder=ENCODER, logit_scale=SCALE, unseen=unseen
    )
    truth = [task.classes[label] for label in task.labels.tolist()]
    right = [found == true for found, true in zip(predicted, truth, strict=True)]
    return right.count(True) / len(truth)


def test_where_an_unseen_class_wins_the_answer_is_that_of_zero_shot() -> None:
    task, images = clusters(), unit_rows(80, 24, seed=6)
    unseen = UnseenClasses(classes=entries("unseen", 6), text_features=unit_rows(6, 24, seed=7))
    winners = {}
    for name in ("dual_rail", "zero_shot"):
        method = measured_method(name)
        record = learn(method, task, [], text=class_means(task), settings={}, seed=1)
        adapter = Adapter([record])
        scores = adapter.score(images, encoder=ENCODER, logit_scale=SCALE, unseen=unseen)
        winners[name] = scores.winners
    wins = winners["zero_shot"] >= len(task.classes)
    assert wins.any() and not wins.all()
    assert torch.equal(winners["dual_rail"][wins], winners["zero_shot"][wins])
    assert (winners["dual_rail"][~wins] < len(task.classes)).all()


def test_the_fusion_is_two_tenths_of_the_softmax_and_eight_of_the_regression() -> None:
    task, images = clusters(), unit_rows(9, 24, seed=6)
    method, text = measured_method("dual_rail"), class_means(task)
    record = learn(method, task, [], text=text, settings={}, seed=1)
    scorer = method.scorer(AdapterState(records=(record,)))
    assert isinstance(scorer, RailScorer)
    softmax = (SCALE * images @ normalize(text.features, dim=-1).t()).softmax(dim=1)
    fused = 0.2 * softmax + 0.8 * scorer.regressed(images)
    values = Adapter([record]).score(images, encoder=ENCODER, logit_scale=SCALE).values
    torch.testing.assert_close(values, log_probabilities(fused, task.classes))


def test_a_records_columns_do_not_depend_on_which_tasks_are_candidates() -> None:
    records: list[Record] = []
    method = measured_method("dual_rail")
    for task in three_tasks():
        text = class_means(task)
        records.append(learn(method, task, records, text=text, settings={}, seed=1))
    adapter, images = Adapter(records), unit_rows(9, 24, seed=6)
    everything = adapter.score(images, encoder=ENCODER, logit_scale=SCALE).values
    some = adapter.score(
        images, encoder=ENCODER, logit_scale=SCALE, tasks=["first", "third"]
    ).values
    assert torch.equal(some, torch.cat([everything[:, :2], everything[:, 5:]], dim=1))


def test_more_images_than_a_kernel_matrix_is_meant_for_are_refused() -> None:
    first, second, _ = three_tasks()
    method, settings = measured_method("dual_rail"), {"most_images": 20}
    record = learn(method, first, [], text=class_means(first), settings=settings, seed=1)
    with pytest.raises(InputError, match="at most 20 images"):
        learn(method, second, [record], text=class_means(second), settings=settings, seed=1)


def test_a_record_whose_images_do_not_fit_is_corrupt() -> None:
    task = clusters()
    method = measured_method("dual_rail")
    record = learn(method, task, [], text=class_means(task), settings={}, seed=1)
    images = record.tensors["images"]
    for changed in ({"images": images[1:]}, {"image_counts": record.tensors["image_counts"][1:]}):
        tensors = {**record.tensors, **changed}
        with pytest.raises(CorruptionError, match="do not fit"):
            Adapter([Record(**{**fields_of(record), "tensors": tensors})])  # type: ignore[arg-type]
    with pytest.raises(CorruptionError, match="missing"):
        tensors = {key: value for key, value in record.tensors.items() if key != "images"}
        Adapter([Record(**{**fields_of(record), "tensors": tensors})])  # type: ignore[arg-type]


def fields_of(record: Record) -> dict[str, object]:
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def test_a_share_must_be_a_number() -> None:
    with pytest.raises(SettingsError, match="share"):
        measured_method("dual_rail").check_settings({"share": "most"})
