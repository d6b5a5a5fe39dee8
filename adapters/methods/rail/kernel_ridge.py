"""Incremental kernel ridge regression: it grows by blocks of images and keeps its factor.

    A = (K + ridge I)^-1 Y,   K + ridge I = F F^T,   Z = F^-1 Y,   A = F^-T Z

A new block adds rows to F and rows and columns to Z; what is there stays. Everything is float64: A
has entries up to 1 / ridge that cancel each other.

Shapes: n images learnt · m images added · N images scored · D feature width · S classes · C added
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor
from torch.linalg import solve_triangular
from torch.nn.functional import one_hot

Kernel = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelRidge:
    """One-hot regression on all images so far. Immutable.

    Attributes:
        kernel: From (n, D) and (m, D) float64 to (n, m) float64.
        ridge: Above 0.
        images: (n, D) float64.
        factor: (n, n) float64, lower triangular, F.
        halfway: (n, S) float64, Z.
    """

    kernel: Kernel
    ridge: float
    images: Tensor
    factor: Tensor
    halfway: Tensor

    @classmethod
    def empty(cls, kernel: Kernel, *, ridge: float, width: int) -> Self:
        """Return the regression on no images."""
        nothing = torch.zeros(0, width, dtype=torch.float64)
        return cls(
            kernel=kernel,
            ridge=ridge,
            images=nothing,
            factor=nothing.new_zeros(0, 0),
            halfway=nothing.new_zeros(0, 0),
        )

    def extended(self, images: Tensor, labels: Tensor, *, classes: int) -> Self:
        """Return the regression on `images` too, whose classes come after the present ones.

        Args:
            images: (m, D).
            labels: (m,) int64, in [0, classes).
            classes: C.
        """
        added = images.double()
        below = solve_triangular(self.factor, self.kernel(self.images, added), upper=False).t()
        corner = self.kernel(added, added) - below @ below.t()
        corner.diagonal().add_(self.ridge)
        corner = torch.linalg.cholesky(corner)
        targets = one_hot(labels, classes).double()
        rest = torch.cat([-below @ self.halfway, targets], dim=1)
        return type(self)(
            kernel=self.kernel,
            ridge=self.ridge,
            images=torch.cat([self.images, added]),
            factor=_stacked(self.factor, below, corner),
            halfway=torch.cat(
                [
                    torch.cat([self.halfway, self.halfway.new_zeros(len(self.images), classes)], 1),
                    solve_triangular(corner, rest, upper=False),
                ]
            ),
        )

    @cached_property
    def coefficients(self) -> Tensor:
        """A, (n, S) float64."""
        solved: Tensor = solve_triangular(self.factor.t(), self.halfway, upper=True)
        return solved


def _stacked(corner: Tensor, below: Tensor, new: Tensor) -> Tensor:
    known, added = len(corner), len(new)
    factor = corner.new_zeros(known + added, known + added)
    factor[:known, :known] = corner
    factor[known:, :known] = below
    factor[known:, known:] = new
    return factor


def rbf(first: Tensor, second: Tensor, *, gamma: float) -> Tensor:
    """Return exp(-gamma |x - y|^2) for all pairs of rows, (n, m)."""
    squares = first.square().sum(dim=1)[:, None] + second.square().sum(dim=1)
    distances = torch.addmm(squares, first, second.t(), alpha=-2)
    return distances.clamp_(min=0).mul_(-gamma).exp_()
