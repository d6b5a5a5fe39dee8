"""Model selection on validation images: a part of a task's training images, never test images.

Every task writes down what each value of the setting costs on its validation images; an adapter
adds the costs of its tasks and takes the value that costs least.

Shapes: N images · G values of a setting
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from adapters.contract.randomness import generator
from adapters.contract.task_features import TaskFeatures

FRACTION = 0.25
Value = TypeVar("Value")


class ValidationParts(NamedTuple):
    """A task in two parts.

    Attributes:
        kept: The task with the images that are learnt from; every class has some.
        features: (N, D), the validation images under the test transform; may be none.
        labels: (N,) int64.
        images: (N,) int64, their places among the task's images.
        kept_images: The places of those that are learnt from, (M,) int64.
    """

    kept: TaskFeatures
    features: Tensor
    labels: Tensor
    images: Tensor
    kept_images: Tensor


def validation_parts(task: TaskFeatures, *, seed: int, most: int | None = None) -> ValidationParts:
    """Return `task` with a quarter of each class's images as validation images, drawn by seed and
    class id.

    A class of one image keeps it; a class of two or three gives one.

    Args:
        task: The task.
        seed: Names the draw.
        most: About how many images to use at all, evenly over the classes; None for all.
    """
    kept, validation = [], []
    limit = None if most is None else max(most // len(task.classes), 2)
    for index, entry in enumerate(task.classes):
        own = (task.labels == index).nonzero()[:, 0]
        order = torch.randperm(len(own), generator=generator(seed, "held out", entry.class_id))
        drawn = own[order.to(own.device)][:limit]
        count = max(int(FRACTION * len(drawn)), min(1, len(drawn) - 1))
        validation.append(drawn[:count])
        kept.append(drawn[count:])
    chosen, rest = torch.cat(validation), torch.cat(kept)
    part = replace(task, features=task.features[rest], labels=task.labels[rest])
    return ValidationParts(
        part, task.features[chosen, 0], task.labels[chosen], images=chosen, kept_images=rest
    )


def errors(scores: Tensor, labels: Tensor) -> Tensor:
    """Return how many images another class than their own scores highest for, (), float64."""
    return (scores.argmax(dim=1) != labels).sum().double()


def least_cost(costs: Tensor, values: Sequence[Value], *, default: Value) -> Value:
    """Return the value that costs least; `default` where nothing costs less than it does.

    Args:
        costs: (G,).
        values: G values, in the order of `costs`.
        default: One of them.
    """
    best = int(costs.argmin())
    return values[best] if costs[best] < costs[values.index(default)] else default
