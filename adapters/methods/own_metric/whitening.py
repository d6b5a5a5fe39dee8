"""Covariance shrinkage and whitening: a task's own metric, supported by that of the other tasks.

    W   = sum of the scatters of all tasks / sum of their (images - classes)
    S_t = (scatter of task t + D W) / (images - classes of task t + D) + shrinkage tr(W) / D I
    S_t = F F^T,   y = F^-1 (x - mu_t)

D images' worth of the common covariance W stand in S_t for what the task's own images cannot tell:
with few of them the metric is the common one, with many the task's.

Shapes: N vectors · D feature width · C classes of a task
"""

from typing import NamedTuple, Protocol, Self

import torch
from torch import Tensor
from torch.linalg import solve_triangular

from adapters.parts.statistics import VARIANCE_WITHOUT_SCATTER, Statistic


class Metric(Protocol):
    """A map to coordinates in which a task's images spread alike in all directions."""

    @property
    def floor(self) -> float:
        """The variance that is added in every direction."""

    def vectors(self, rows: Tensor) -> Tensor:
        """Return displacements (N, D) in the new coordinates, float64."""

    def points(self, rows: Tensor) -> Tensor:
        """Return points (N, D), such as images, in the new coordinates, float64."""

    def unwhitened(self, vectors: Tensor) -> Tensor:
        """Return the displacements (N, D) that `vectors` maps to these."""


class Metrics(Protocol):
    """What makes the metric of a task that is being learnt."""

    def of_task(self, own: Statistic, *, centre: Tensor) -> Metric:
        """Return the metric of a task.

        Args:
            own: The scatter of its images about their classes' means.
            centre: (D,), what is mapped to zero.
        """


class Whitening(NamedTuple):
    """A metric as a matrix.

    Attributes:
        centre: (D,) float64, mu.
        factor: (D, D) float64, lower triangular, F.
        floor: The variance that is added in every direction.
    """

    centre: Tensor
    factor: Tensor
    floor: float

    @classmethod
    def of(
        cls, own: Statistic, common: Statistic, *, centre: Tensor, shrinkage: float
    ) -> "Whitening":
        """Return the whitening of one task.

        Args:
            own: The scatter of its images about their classes' means.
            common: The same over all tasks, this one among them.
            centre: (D,), what is mapped to zero.
            shrinkage: Share of the common mean variance that is added in every direction.
        """
        return Support.of(common, shrinkage=shrinkage).whitening(own, centre=centre)

    def vectors(self, rows: Tensor) -> Tensor:
        """Return displacements (N, D) in the new coordinates, float64."""
        solved: Tensor = solve_triangular(self.factor, rows.double().t(), upper=False)
        return solved.t()

    def points(self, rows: Tensor) -> Tensor:
        """Return points (N, D), such as images, in the new coordinates, float64."""
        return self.vectors(rows.double() - self.centre)

    def unwhitened(self, vectors: Tensor) -> Tensor:
        """Return the displacements (N, D) that `vectors` maps to these."""
        return vectors.double() @ self.factor.t()


class Support(NamedTuple):
    """What stands in every task's metric for what its own images cannot tell.

    Attributes:
        matrix: (D, D) float64, D W.
        floor: What is added in every direction.
    """

    matrix: Tensor
    floor: float

    @classmethod
    def of(cls, common: Statistic, *, shrinkage: float) -> Self:
        """Return the support that some tasks give; arguments as in `Whitening.of`."""
        shared = pooled(common)
        return cls(len(shared) * shared, shrinkage * mean_variance(shared))

    def whitening(self, own: Statistic, *, centre: Tensor) -> Whitening:
        """Return the whitening of one of these tasks; arguments as in `Whitening.of`."""
        covariance = (own.matrix + self.matrix).div_(freedom(own) + len(self.matrix))
        covariance.diagonal().add_(self.floor)
        return Whitening(centre.double(), torch.linalg.cholesky(covariance), self.floor)


class Whitenings(NamedTuple):
    """Metrics as matrices, each supported by all tasks so far.

    Attributes:
        before: The scatters of the tasks learnt before, added up; None for no tasks.
        shrinkage: As in `Whitening.of`.
    """

    before: Statistic | None
    shrinkage: float

    def of_task(self, own: Statistic, *, centre: Tensor) -> Whitening:
        """Return the metric of a task, as `Metrics` says."""
        common = self.before.merged(own) if self.before else own
        return Whitening.of(own, common, centre=centre, shrinkage=self.shrinkage)


def image_spread(metric: Metric, width: int) -> float:
    """Return the mean squared distance of an image of a task from its class's true mean.

    tr(S_t^-1 (S_t - floor I)) = D - floor tr(S_t^-1)
    """
    inverse = metric.vectors(torch.eye(width, dtype=torch.float64))
    return width - metric.floor * float(inverse.square().sum())


def squared_distances(points: Tensor, others: Tensor) -> Tensor:
    """Return |p - q|^2 for (N, D) and (C, D) rows, (N, C)."""
    squares = points.square().sum(dim=1, keepdim=True) + others.square().sum(dim=1)
    return torch.addmm(squares, points, others.t(), alpha=-2)


def pooled(common: Statistic) -> Tensor:
    """Return W, (D, D) float64."""
    return common.matrix / max(freedom(common), 1)


def mean_variance(shared: Tensor) -> float:
    """Return tr(W) / D of W, or what stands for it where all classes have one image."""
    return float(shared.trace()) / len(shared) or VARIANCE_WITHOUT_SCATTER


def freedom(statistic: Statistic) -> int:
    """Return by how many images its images outnumber its classes."""
    return statistic.images - len(statistic.class_ids)
