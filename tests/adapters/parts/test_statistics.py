"""Statistics that add up: task by task equals all at once, in any order, and nothing twice."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
import torch
from torch import Tensor

from adapters.adapter import Adapter
from adapters.contract.records import Record, encode_record
from adapters.contract.task_features import TaskFeatures
from adapters.errors import ClassNameError, CorruptionError, SettingsError
from adapters.methods import METHODS, measured_method
from adapters.parts.statistics import Statistic
from adapters.parts.symmetric import packed, packed_size, unpacked
from tests.adapters.synthetic import ENCODER, SCALE, class_means, clusters, unit_rows
from tests.support.scenes.training import learn

# What is chosen on validation images depends on how images are cut into tasks; here it is set.
ADDITIVE: Mapping[str, Mapping[str, Any]] = {
    "nearest_mean": {},
    "gda": {"alpha": 1.0},
    "ran_pac": {"width": 300, "ridge": 10.0},
    "dual_rail": {"gamma": 0.5},
    "primal_rail": {"width": 300},
}


def three_tasks() -> list[TaskFeatures]:
    return [
        clusters(name, classes=2 + seed, images=5 + 3 * seed, seed=seed)
        for seed, name in enumerate(("first", "second", "third"))
    ]


def all_at_once(tasks: Sequence[TaskFeatures]) -> TaskFeatures:
    """Return one task with the classes and images of all `tasks`."""
    labels, known = [], 0
    for task in tasks:
        labels.append(task.labels + known)
        known += len(task.classes)
    return replace(
        tasks[0],
        classes=tuple(entry for task in tasks for entry in task.classes),
        features=torch.cat([task.features for task in tasks]),
        labels=torch.cat(labels),
    )


def learnt(name: str, tasks: Sequence[TaskFeatures]) -> list[Record]:
    records: list[Record] = []
    for task in tasks:
        method, text = measured_method(name), class_means(task)
        records.append(learn(method, task, records, text=text, settings=ADDITIVE[name], seed=1))
    return records


def scored(records: Sequence[Record], images: Tensor) -> dict[str, Tensor]:
    """Return the scores of every class by its id."""
    adapter = Adapter(records, method=measured_method(records[0].method))
    scores = adapter.score(images, encoder=ENCODER, logit_scale=SCALE)
    return {entry.class_id: scores.values[:, n] for n, entry in enumerate(scores.classes)}


@pytest.mark.parametrize("name", ADDITIVE)
def test_task_by_task_equals_all_at_once(name: str) -> None:
    tasks, images = three_tasks(), unit_rows(40, 24, seed=9)
    one_by_one = scored(learnt(name, tasks), images)
    together = scored(learnt(name, [all_at_once(tasks)]), images)
    for class_id, scores in together.items():
        # Statistics are stored as float32.
        torch.testing.assert_close(one_by_one[class_id], scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ADDITIVE)
def test_the_order_of_records_does_not_matter(name: str) -> None:
    records, images = learnt(name, three_tasks()), unit_rows(40, 24, seed=9)
    expected = scored(records, images)
    for order in permutations(records):
        for class_id, scores in scored(order, images).items():
            torch.testing.assert_close(scores, expected[class_id], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [*ADDITIVE, "tip_adapter", "zero_shot"])
def test_a_record_does_not_depend_on_what_was_learnt_before(name: str) -> None:
    tasks, method, settings = three_tasks(), measured_method(name), ADDITIVE.get(name, {})
    past: list[Record] = []
    for task in tasks:
        text = class_means(task)
        first, later = (
            learn(method, task, before, text=text, settings=settings, seed=1)
            for before in ([], past)
        )
        assert encode_record(first) == encode_record(later)
        past.append(later)


@pytest.mark.parametrize("name", ["gda", "ran_pac", "dual_rail", "primal_rail"])
def test_a_class_that_two_records_have_is_not_counted_twice(name: str) -> None:
    records = learnt(name, three_tasks())
    with pytest.raises(ClassNameError, match="counted already"):
        scored([*records, records[1]], unit_rows(2, 24, seed=9))
    adapter = Adapter(records, method=measured_method(name))
    with pytest.raises(ClassNameError, match="counted already"):
        adapter.extended(replace(records[1], task="again"))


@pytest.mark.parametrize("name", ["gda", "ran_pac"])
def test_statistics_merge_in_any_grouping(name: str) -> None:
    matrix = {"gda": "scatter", "ran_pac": "gram"}[name]
    a, b, c = (Statistic.of_record(record, matrix) for record in learnt(name, three_tasks()))
    left, right = a.merged(b).merged(c), a.merged(b.merged(c))
    torch.testing.assert_close(left.matrix, right.matrix)
    assert left.images == right.images == c.merged(a).merged(b).images == 5 * 2 + 8 * 3 + 11 * 4
    assert left.class_ids == right.class_ids
    torch.testing.assert_close(left.costs, right.costs)


@pytest.mark.parametrize("name", ["gda", "ran_pac"])
def test_a_record_without_its_statistic_is_corrupt(name: str) -> None:
    record = learnt(name, three_tasks())[0]
    for lost in ("image_counts", "costs"):
        tensors = {key: value for key, value in record.tensors.items() if key != lost}
        with pytest.raises(CorruptionError, match=lost):
            scored([replace(record, tensors=tensors)], unit_rows(2, 24, seed=9))
    short = {**record.tensors, "image_counts": record.tensors["image_counts"][1:]}
    with pytest.raises(CorruptionError, match="image counts"):
        scored([replace(record, tensors=short)], unit_rows(2, 24, seed=9))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("gda", "fusion", "alone"),
        ("gda", "alpha", 2.0),
        ("ran_pac", "width", 200),
        ("tip_adapter", "fusion", "alone"),
        ("dual_rail", "gamma", 0.2),
    ],
)
def test_what_is_scored_together_must_have_the_same_settings(
    name: str, key: str, value: object
) -> None:
    first, second, _ = three_tasks()
    settings = ADDITIVE.get(name, {})
    method, other = METHODS[name], {**settings, key: value}
    record = learn(method, first, [], text=class_means(first), settings=settings, seed=1)
    with pytest.raises(SettingsError, match=key):
        learn(method, second, [record], text=class_means(second), settings=other, seed=1)
    stray = learn(method, second, [], text=class_means(second), settings=other, seed=1)
    with pytest.raises(SettingsError, match=key):
        Adapter([record, stray])
    with pytest.raises(SettingsError, match=key):
        Adapter([record]).extended(stray)


def test_a_symmetric_matrix_is_stored_once_and_comes_back() -> None:
    rows = unit_rows(7, 5, seed=2, dtype=torch.float64)
    matrix = (rows.t() @ rows).float().double()
    assert packed(matrix).shape == (packed_size(5),) == (15,)
    assert torch.equal(unpacked(packed(matrix)), matrix)
    with pytest.raises(CorruptionError, match="symmetric"):
        unpacked(torch.zeros(16))
