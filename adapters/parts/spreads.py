"""Spreads out of what records hold: a scatter, or the directions in which images spread most.

Shapes: D feature width · C classes of a record · R directions
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from adapters.contract.records import Record
from adapters.contract.task_features import Spread
from adapters.errors import CorruptionError
from adapters.parts.statistics import class_sums
from adapters.parts.symmetric import unpacked

DIRECTIONS = 32
"""At most so many are kept of a spread whose record holds no scatter."""

_NOTHING = 1e-9
"""Of the largest variance: less is none, and rounding."""


def scattered(record: Record) -> Spread:
    """Return the spread of a record with `means`, `scatter` and `image_counts`.

    Raises:
        CorruptionError: one is missing.
    """
    try:
        means, counts = record.tensors["means"], record.tensors["image_counts"]
        scatter = unpacked(record.tensors["scatter"])
    except KeyError as error:
        raise CorruptionError(f"record {record.task!r}: tensor missing: {error}") from error
    return Spread(means, scatter / max(int(counts.sum()) - len(means), 1))


def spread_of(images: Tensor, labels: Tensor, *, classes: int) -> Spread:
    """Return the spread of images.

    Args:
        images: (N, D).
        labels: (N,) int64.
        classes: How many; each has an image.
    """
    images, labels = images.cpu().double(), labels.cpu()
    sums, counts = class_sums(images, labels, classes=classes)
    means = sums / counts[:, None]
    centred = images - means[labels]
    return Spread(means, centred.t() @ centred / max(len(images) - classes, 1))


class Directions(NamedTuple):
    """A covariance of which the widest directions are kept.

    Attributes:
        rows: (R, D), the products of which with themselves are what is above `rest`.
        rest: (1,), the variance in every other direction.
    """

    rows: Tensor
    rest: Tensor

    @classmethod
    def of(cls, matrix: Tensor, *, most: int = DIRECTIONS) -> Self:
        """Return the directions in which images spread most, and how far they do in all others.

        Args:
            matrix: (D, D) float64, a covariance.
            most: How many are kept.
        """
        values, vectors = torch.linalg.eigh(matrix)
        others = max(len(values) - most, 0)
        rest = values[:others].clamp_min(0).sum() / max(others, 1)
        above = (values[others:] - rest).clamp_min(0)
        present = above > _NOTHING * above.amax()
        rows = (vectors[:, others:] * above.sqrt())[:, present].t()
        return cls(rows.contiguous(), rest[None])

    @property
    def covariance(self) -> Tensor:
        """The covariance that they tell, (D, D) float64."""
        rows = self.rows.double()
        found = rows.t() @ rows
        found.diagonal().add_(self.rest.double())
        return found
