"""Covariance shrinkage and whitening: a task's own metric, supported by that of the other tasks.

    W   = sum of the scatters of all tasks / sum of their (images - classes)
    S_t = (scatter of task t + D W) / (images - classes of task t + D) + shrinkage tr(W) / D I
    S_t = F F^T,   y = F^-1 (x - mu_t)

D images' worth of the common covariance W stand in S_t for what the task's own images cannot tell:
with few of them the metric is the common one, with many the task's.

Shapes: N vectors · D feature width · C classes of a task
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.linalg import solve_triangular

from adapters.parts.statistics import VARIANCE_WITHOUT_SCATTER, Statistic


class Whitening(NamedTuple):
    """A map to coordinates in which a task's images spread alike in all directions.

    Attributes:
        centre: (D,) float64, mu.
        factor: (D, D) float64, lower triangular, F.
    """

    centre: Tensor
    factor: Tensor

    @classmethod
    def of(cls, own: Statistic, common: Statistic, *, centre: Tensor, shrinkage: float) -> Self:
        """Return the whitening of one task.

        Args:
            own: The scatter of its images about their classes' means.
            common: The same over all tasks, this one among them.
            centre: (D,), what is mapped to zero.
            shrinkage: Share of the common mean variance that is added in every direction.
        """
        width = len(own.matrix)
        shared = common.matrix / max(_freedom(common), 1)
        variance = float(shared.trace()) / width or VARIANCE_WITHOUT_SCATTER
        covariance = (own.matrix + width * shared) / (_freedom(own) + width)
        covariance.diagonal().add_(shrinkage * variance)
        return cls(centre.double(), torch.linalg.cholesky(covariance))

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


def squared_distances(points: Tensor, others: Tensor) -> Tensor:
    """Return |p - q|^2 for (N, D) and (C, D) rows, (N, C)."""
    squares = points.square().sum(dim=1, keepdim=True) + others.square().sum(dim=1)
    return torch.addmm(squares, points, others.t(), alpha=-2)


def _freedom(statistic: Statistic) -> int:
    return statistic.images - len(statistic.class_ids)
