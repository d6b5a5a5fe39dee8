"""Sufficient statistics: sums over a task's images, such as class means and scatter, that add up.

They add up over tasks, in any order, and count no image twice.

Shapes: L width of what is summed · G values of a setting that were tried · C classes · D feature
width
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.errors import ClassNameError, CorruptionError
from adapters.parts.symmetric import unpacked

VARIANCE_WITHOUT_SCATTER = 1e-3
"""Of a coordinate: stands for a scatter where every class has one image."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Statistic:
    """What some classes add to a classifier that is solved for all classes at once.

    Attributes:
        matrix: (L, L) float64, symmetric: a scatter or a Gram matrix.
        images: How many images were summed.
        costs: (G,) float64, what each value of a setting costs on each task's validation images.
        class_ids: Whose images they are.
    """

    matrix: Tensor
    images: int
    costs: Tensor
    class_ids: frozenset[str]

    @classmethod
    def of_record(cls, record: Record, matrix: str) -> Self:
        """Return the statistic of a record that holds `matrix`, `image_counts` and `costs`.

        Raises:
            CorruptionError: one is missing, or does not fit.
        """
        try:
            triangle, counts = record.tensors[matrix], record.tensors["image_counts"]
            costs = record.tensors["costs"].double()
        except KeyError as error:
            raise CorruptionError(f"record {record.task!r}: tensor missing: {error}") from error
        if counts.shape != (len(record.classes),):
            raise CorruptionError(
                f"record {record.task!r}: expected {len(record.classes)} image counts, found "
                f"{tuple(counts.shape)}"
            )
        return cls(
            matrix=unpacked(triangle),
            images=int(counts.sum()),
            costs=costs,
            class_ids=frozenset(entry.class_id for entry in record.classes),
        )

    def merged(self, other: Self) -> Self:
        """Return the statistic of both.

        Raises:
            ClassNameError: a class is in both; its images would count twice.
            CorruptionError: they are of different sizes.
        """
        twice = sorted(self.class_ids & other.class_ids)
        if twice:
            raise ClassNameError(
                f"class {twice[0]!r}: its images are counted already; leave one of the two records "
                "out",
                class_id=twice[0],
            )
        if self.matrix.shape != other.matrix.shape or self.costs.shape != other.costs.shape:
            raise CorruptionError(
                f"statistics: expected {tuple(self.matrix.shape)} and {tuple(self.costs.shape)}, "
                f"found {tuple(other.matrix.shape)} and {tuple(other.costs.shape)}"
            )
        return type(self)(
            matrix=self.matrix + other.matrix,
            images=self.images + other.images,
            costs=self.costs + other.costs,
            class_ids=self.class_ids | other.class_ids,
        )


def total(records: Sequence[Record], matrix: str, *, before: Statistic | None = None) -> Statistic:
    """Return the sum of the records' statistics, added in their order.

    Args:
        records: At least one.
        matrix: The tensor that holds theirs.
        before: The sum of all but the last, where it is known.

    Raises:
        ClassNameError: a class is in two of them.
        CorruptionError: a record holds no such statistic.
    """
    if before is not None:
        return before.merged(Statistic.of_record(records[-1], matrix))
    found = Statistic.of_record(records[0], matrix)
    for record in records[1:]:
        found = found.merged(Statistic.of_record(record, matrix))
    return found


def image_counts(labels: Tensor, classes: int) -> Tensor:
    """Return how many images every class has, (C,) int64."""
    return torch.bincount(labels, minlength=classes).cpu()


def class_sums(features: Tensor, labels: Tensor, *, classes: int) -> tuple[Tensor, Tensor]:
    """Return the sum of the (N, D) features of each class, (C, D), and how many these are, (C,).

    Args:
        features: (N, D).
        labels: (N,) int64, on the device of the features.
        classes: C.
    """
    sums = features.new_zeros(classes, features.shape[1]).index_add_(0, labels, features)
    return sums, torch.bincount(labels, minlength=classes)


def class_means(task: TaskFeatures) -> Tensor:
    """Return the mean feature of every class under the test transform, (C, D) float32."""
    means = [task.of_class(index).mean(dim=0) for index in range(len(task.classes))]
    return torch.stack(means).cpu().float()


def within_scatter(task: TaskFeatures) -> Tensor:
    """Return the scatter of the images about their classes' means, (D, D) float64."""
    features = task.features[:, 0].double()  # differences of sums lose digits in float32
    centred = features - class_means(task).double().to(features.device)[task.labels]
    return centred.t() @ centred
