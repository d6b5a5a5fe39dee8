"""A task's own metric as the common one and a few directions of its own.

    S_t = V a^1/2 (I + B) a^1/2 V^T,   B = a^-1/2 V^T scatter_t V a^-1/2 / (images - classes + D)
    B   = Q diag(e) Q^T + tail (I - Q Q^T)

V and a are those of the common metric (`adapters.methods.own_metric.common_metric`), Q the `RANK`
directions in which the task's images spread most beyond it; all others share the mean of what is
left, `tail`. A task has no more directions than its images outnumber its classes by: up to `RANK`
of them B is exact. The inverse, which distances are made of, is then

    S_t^-1 = V diag(1 / ((1 + tail) a)) V^T - directions^T directions

Shapes: N vectors · D feature width · R directions
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

from adapters.methods.own_metric.common_metric import CommonMetric
from adapters.methods.own_metric.whitening import freedom
from adapters.parts.statistics import Statistic

RANK = 128
"""Most directions of a task. Records hold them, so that it can change without another form."""


class LowRank(NamedTuple):
    """A metric that differs from the common one in R directions.

    Attributes:
        centre: (D,) float64, what is mapped to zero.
        common: The common metric, whose directions V are.
        spread: (D,) float64, a.
        own: (R, D) float64, Q^T, unit rows, in coordinates divided by the root of a.
        excess: (R,) float64, e.
        tail: What all other directions have instead.
    """

    centre: Tensor
    common: CommonMetric
    spread: Tensor
    own: Tensor
    excess: Tensor
    tail: float

    @property
    def floor(self) -> float:
        """The variance that is added in every direction."""
        return self.common.floor

    @classmethod
    def of(cls, own: Statistic, common: CommonMetric, *, centre: Tensor, rank: int = RANK) -> Self:
        """Return the metric of a task; arguments as in `Metrics`.

        Args:
            own: The scatter of its images about their classes' means.
            common: What it leans on.
            centre: (D,), what is mapped to zero.
            rank: Most directions.
        """
        basis, width = common.directions, len(own.matrix)
        spread = common.spread(freedom(own))
        scaled = basis * spread.rsqrt()
        beyond = scaled.t() @ own.matrix @ scaled / (freedom(own) + width)
        excess, found = torch.linalg.eigh((beyond + beyond.t()) / 2)
        excess = excess.clamp(min=0.0)
        count = max(min(rank, width, freedom(own)), 0)
        rest = excess[: width - count]
        return cls(
            centre=centre.double(),
            common=common,
            spread=spread,
            own=found[:, width - count :].t().contiguous(),
            excess=excess[width - count :],
            tail=float(rest.mean()) if len(rest) else 0.0,
        )

    def vectors(self, rows: Tensor) -> Tensor:
        """Return displacements (N, D) in the new coordinates, float64."""
        return self._powered(
            rows.double() @ self.common.directions * self.spread.rsqrt(), power=-0.5
        )

    def points(self, rows: Tensor) -> Tensor:
        """Return points (N, D), such as images, in the new coordinates, float64."""
        return self.vectors(rows.double() - self.centre)

    def unwhitened(self, vectors: Tensor) -> Tensor:
        """Return the displacements (N, D) that `vectors` maps to these."""
        return (
            self._powered(vectors.double(), power=0.5) * self.spread.sqrt()
        ) @ self.common.directions.t()

    def precise(self, rows: Tensor) -> Tensor:
        """Return S_t^-1 times (N, D) rows, float64: what a product with displacements is with."""
        scaled = self._powered(
            rows.double() @ self.common.directions * self.spread.rsqrt(), power=-1.0
        )
        return (scaled * self.spread.rsqrt()) @ self.common.directions.t()

    def curve(self) -> Tensor:
        """Return the diagonal of the first term of S_t^-1, (D,) float64."""
        return 1 / ((1 + self.tail) * self.spread)

    def directions(self) -> Tensor:
        """Return the rows of the second term of S_t^-1, (R, D) float64."""
        weights = (1 / (1 + self.tail) - 1 / (1 + self.excess)).clamp(min=0.0)
        return (
            weights.sqrt()[:, None] * (self.own * self.spread.rsqrt()) @ self.common.directions.t()
        )

    def _powered(self, rows: Tensor, *, power: float) -> Tensor:
        """Return (N, D) rows times a power of I + B, in coordinates divided by the root of a."""
        rest = (1 + self.tail) ** power
        beside = (1 + self.excess) ** power - rest
        powered: Tensor = rest * rows + (rows @ self.own.t() * beside) @ self.own
        return powered


class LowRanks(NamedTuple):
    """Metrics of low rank, each beside one common metric."""

    common: CommonMetric

    def of_task(self, own: Statistic, *, centre: Tensor) -> LowRank:
        """Return the metric of a task, as `Metrics` says."""
        return LowRank.of(own, self.common, centre=centre)
