"""Answers that are probabilities, as scores: order is kept, and merged classes add up."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from adapters.adapter import Adapter
from adapters.contract.class_entry import ClassEntry
from adapters.contract.merging import fold
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.methods import measured_method
from adapters.parts.probabilities import log_probabilities
from tests.adapters.parts.test_statistics import ADDITIVE
from tests.adapters.synthetic import ENCODER, SCALE, class_means, clusters, unit_rows
from tests.support.scenes.training import learn


def entry(class_id: str, merged_into: str | None = None) -> ClassEntry:
    return ClassEntry(class_id=class_id, name="x", prompt="an x.", merged_into=merged_into)


APART = [entry("a/1"), entry("a/2"), entry("a/3")]


def test_the_softmax_are_the_answers_over_their_sum() -> None:
    answers = torch.tensor([[0.6, 0.3, 0.2], [0.05, 0.002, 0.4]])
    torch.testing.assert_close(
        log_probabilities(answers, APART).softmax(dim=1), answers / answers.sum(dim=1, keepdim=True)
    )


def test_order_is_kept_below_zero_too() -> None:
    answers = torch.linspace(-2, 2, 1001)[None]
    scores = log_probabilities(answers, [entry(f"a/{n}") for n in range(1001)])
    assert torch.isfinite(scores).all()
    assert (scores.diff(dim=1) > 0).all()


def test_merged_answers_are_their_sum_and_the_rest_is_untouched() -> None:
    classes = [entry("a/1"), entry("a/2"), entry("b/1", "a/1")]
    answers = torch.tensor([[0.3, 0.5, 0.4], [0.3, 0.5, -0.2]])
    scores = log_probabilities(answers, classes)
    torch.testing.assert_close(
        fold(scores, classes).values.exp(), torch.tensor([[0.7, 0.5], [0.1, 0.5]])
    )
    assert torch.equal(scores[:, 1], log_probabilities(answers, APART)[:, 1])
    # A part asked for alone keeps its own probability, a part of the sum.
    torch.testing.assert_close(scores[0, [0, 2]].exp(), answers[0, [0, 2]])


def halves(task: TaskFeatures) -> list[TaskFeatures]:
    """Return `task` as two tasks with half of the images each; the second's classes are merged."""
    first = replace(task, features=task.features[::2], labels=task.labels[::2])
    again = tuple(
        replace(each, class_id=f"again/{each.class_id}", merged_into=each.class_id)
        for each in task.classes
    )
    second = replace(
        task, task="again", classes=again, features=task.features[1::2], labels=task.labels[1::2]
    )
    return [first, second]


def answers(name: str, tasks: list[TaskFeatures], images: Tensor) -> Tensor:
    """Return a regression's answers, one column per answer."""
    method, records = measured_method(name), list[Record]()
    alone = {} if name == "ran_pac" else {"fusion": "alone"}
    settings = {**ADDITIVE[name], **alone}
    for task in tasks:
        text = class_means(task)
        records.append(learn(method, task, records, text=text, settings=settings, seed=1))
    adapter = Adapter(records, method=method)
    return adapter.score(images, encoder=ENCODER, logit_scale=SCALE).values.exp()


@pytest.mark.parametrize("name", ["ran_pac", "dual_rail", "primal_rail"])
def test_a_class_learnt_in_two_halves_is_answered_as_one_learnt_at_once(name: str) -> None:
    task, images = clusters(classes=3, images=12), unit_rows(60, 24, seed=4)
    whole, parts = answers(name, [task], images), answers(name, halves(task), images)
    assert whole.shape == parts.shape == (60, 3)
    # Statistics are stored as float32, and primal RAIL's products are.
    torch.testing.assert_close(parts, whole, rtol=1e-3, atol=1e-4)
