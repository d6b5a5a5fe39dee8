"""Calibration: maps that take statistics of features from one version's tower to the next one's.

What is known are the new task's images, read through both: rows X before and Y after. Each fit
makes an affine map out of them. All in float64.

Shapes: n images · D feature width · C classes
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from adapters.methods.dmc.gaussians import Gaussian, power, root, symmetric
from adapters.methods.dmc.settings import Calibrate

_RIDGE = 0.1
_SLDC_RIDGE = 1e-4


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AffineMap:
    """x becomes A x + b.

    Attributes:
        matrix: A, (D, D) float64.
        offset: b, (D,) float64.
    """

    matrix: Tensor
    offset: Tensor

    @classmethod
    def nothing(cls, width: int) -> Self:
        """Return the map of features of `width` that changes none."""
        return cls(
            matrix=torch.eye(width, dtype=torch.float64),
            offset=torch.zeros(width, dtype=torch.float64),
        )

    def after(self, first: Self) -> Self:
        """Return the map that does `first` and then this one."""
        matrix = self.matrix @ first.matrix
        return type(self)(matrix=matrix, offset=self(first.offset))

    def __call__(self, points: Tensor) -> Tensor:
        """Return points, (..., D), mapped; their length is not made 1 again."""
        return points @ self.matrix.t() + self.offset

    def spread(self, covariance: Tensor) -> Tensor:
        """Return A S A' of covariances S, (..., D, D)."""
        return symmetric(self.matrix @ covariance @ self.matrix.t())


def composed(maps: Sequence[AffineMap], *, width: int) -> AffineMap:
    """Return the map that does all `maps` in their order."""
    whole = AffineMap.nothing(width)
    for one in maps:
        whole = one.after(whole)
    return whole


def fitted(
    calibrate: Calibrate, before: Tensor, after: Tensor, *, shrinkage: float
) -> AffineMap | None:
    """Return the map of a task by the calibration that its settings name; None where it has none.

    Args:
        calibrate: Which one.
        before: (n, D), features of the task's images through the last version's tower.
        after: (n, D), the same images, row by row, through the new one.
        shrinkage: Of covariances, for `transport`.
    """
    before, after = before.double(), after.double()
    match calibrate:
        case "shift":
            return shift(before, after)
        case "transport":
            return transport(before, after, shrinkage=shrinkage)
        case "paired":
            return paired(before, after)
        case "sldc":
            return sldc(before, after)
    return None


def shift(before: Tensor, after: Tensor) -> AffineMap:
    """Return the map that moves the mean of rows `before` to that of `after`, and nothing else."""
    return AffineMap(matrix=_identity(before), offset=(after - before).mean(dim=0))


def transport(before: Tensor, after: Tensor, *, shrinkage: float) -> AffineMap:
    """Return the optimal transport between the Gaussians of rows `before` and `after`.

    Which row belongs to which takes no part.
    """
    source, target = (Gaussian.of(rows, shrinkage=shrinkage) for rows in (before, after))
    return between(source, target)


def between(source: Gaussian, target: Gaussian) -> AffineMap:
    """Return the optimal transport that makes `target` of `source`.

    A = S0^-1/2 (S0^1/2 S1 S0^1/2)^1/2 S0^-1/2, symmetric, with A S0 A = S1.
    """
    half, inverse = root(source.covariance), power(source.covariance, -0.5)
    matrix = symmetric(inverse @ root(half @ target.covariance @ half) @ inverse)
    return AffineMap(matrix=matrix, offset=target.mean - matrix @ source.mean)


def paired(before: Tensor, after: Tensor, *, ridge: float = _RIDGE) -> AffineMap:
    """Return the ridge regression of what the change of the tower has added to each image.

    For rows, x becomes x W with W = I + (X'X + g I)^-1 X'(Y - X): pulled towards standing still.

    Args:
        before: (n, D) float64, X.
        after: (n, D) float64, Y.
        ridge: g.
    """
    return _of_rows(_identity(before) + _ridge_solution(before, after - before, ridge))


def sldc(before: Tensor, after: Tensor) -> AffineMap:
    """Return the regression of arXiv 2511.09926.

    W = (1 - w) (X'X + 1e-4 I)^-1 X'Y + w I with w = exp(-n / D).
    """
    still = math.exp(-len(before) / before.shape[1])
    solution = _ridge_solution(before, after, _SLDC_RIDGE)
    return _of_rows((1 - still) * solution + still * _identity(before))


def _ridge_solution(rows: Tensor, targets: Tensor, ridge: float) -> Tensor:
    gram = rows.t() @ rows + ridge * _identity(rows)
    solution: Tensor = torch.linalg.solve(gram, rows.t() @ targets)
    return solution


def _identity(rows: Tensor) -> Tensor:
    return torch.eye(rows.shape[1], dtype=torch.float64, device=rows.device)


def _of_rows(matrix: Tensor) -> AffineMap:
    """Return the map x -> x W of rows."""
    return AffineMap(matrix=matrix.t().contiguous(), offset=matrix.new_zeros(len(matrix)))
