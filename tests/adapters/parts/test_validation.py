"""Validation images: a part of a task's training images."""

from dataclasses import replace

import pytest
import torch

from adapters.parts.validation import errors, least_cost, validation_parts
from tests.adapters.synthetic import clusters


@pytest.mark.parametrize(
    ("images", "held_out"),
    [
        (1, 0),  # a class of one image keeps it
        (2, 1),
        (3, 1),
        (8, 2),
        (16, 4),
    ],
)
def test_a_quarter_of_every_class_is_held_out(images: int, held_out: int) -> None:
    parts = validation_parts(clusters(classes=3, images=images), seed=1)
    assert torch.bincount(parts.labels, minlength=3).tolist() == [held_out] * 3
    assert torch.bincount(parts.kept.labels).tolist() == [images - held_out] * 3


def test_no_image_is_in_both_parts() -> None:
    task = clusters(classes=3, images=8)
    parts = validation_parts(task, seed=1)
    rows = torch.cat([parts.kept.features[:, 0], parts.features])
    assert len(torch.unique(rows, dim=0)) == len(rows) == len(task.labels)


def test_the_draw_depends_on_the_class_and_not_on_its_place() -> None:
    task, order = clusters(classes=3, images=8), torch.tensor([2, 0, 1])
    shuffled = replace(
        task,
        classes=tuple(task.classes[index] for index in order.tolist()),
        labels=order.argsort()[task.labels],
    )
    plain, moved = validation_parts(task, seed=1), validation_parts(shuffled, seed=1)
    by_class = torch.cat([moved.features[moved.labels == place] for place in order.argsort()])
    assert torch.equal(by_class, plain.features)


def test_a_large_task_is_tried_on_a_part_of_it() -> None:
    parts = validation_parts(clusters(classes=4, images=40), seed=1, most=40)
    assert len(parts.labels) + len(parts.kept.labels) == 40


def test_what_costs_least_wins_and_the_default_wins_a_tie() -> None:
    assert least_cost(torch.tensor([3.0, 1.0, 2.0]), "abc", default="c") == "b"
    assert least_cost(torch.tensor([1.0, 1.0, 1.0]), "abc", default="c") == "c"
    assert least_cost(torch.tensor([1.0, 1.0, 2.0]), "abc", default="c") == "a"


def test_errors_are_counted() -> None:
    scores = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert float(errors(scores, torch.tensor([0, 1, 1]))) == 1
