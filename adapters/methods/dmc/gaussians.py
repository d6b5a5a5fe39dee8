"""Gaussians of features: their moments, powers of covariances, and the distance between two.

All in float64: powers of a covariance whose eigenvalues span ten decades are lost in float32.

Shapes: n images · D feature width
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor

_FLOOR = 1e-10
_NOTHING = 1e-20


class Gaussian(NamedTuple):
    """A mean and a covariance.

    Attributes:
        mean: (D,) float64.
        covariance: (D, D) float64, symmetric.
    """

    mean: Tensor
    covariance: Tensor

    @classmethod
    def of(cls, rows: Tensor, *, shrinkage: float) -> Self:
        """Return the moments of `rows`, (n, D), the covariance shrunk; n may be 1."""
        rows = rows.double()
        mean = rows.mean(dim=0)
        centred = rows - mean
        return cls(mean, shrunk(centred.t() @ centred / len(rows), shrinkage))


def shrunk(covariance: Tensor, amount: float) -> Tensor:
    """Return (1 - a) S + a tr(S) / D I.

    Args:
        covariance: (..., D, D), S.
        amount: a, 0 to 1.
    """
    width = covariance.shape[-1]
    identity = torch.eye(width, dtype=covariance.dtype, device=covariance.device)
    trace = covariance.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    return (1 - amount) * covariance + amount * trace / width * identity


def symmetric(matrix: Tensor) -> Tensor:
    """Return (S + S') / 2, which rounding makes symmetric again."""
    return (matrix + matrix.mT) / 2


def power(matrix: Tensor, exponent: float) -> Tensor:
    """Return the power of symmetric matrices without negative eigenvalues.

    Eigenvalues below 1e-10 of the largest count as that, so that singular ones have an inverse.

    Args:
        matrix: (..., D, D) float64.
        exponent: Such as 0.5 or -0.5.

    Returns:
        (..., D, D), symmetric.
    """
    values, vectors = torch.linalg.eigh(symmetric(matrix))
    floor = (_FLOOR * values.amax(-1, keepdim=True)).clamp(min=_NOTHING)
    values = values.maximum(floor).pow(exponent)
    return symmetric(vectors * values[..., None, :] @ vectors.mT)


def root(matrix: Tensor) -> Tensor:
    """Return the symmetric root of symmetric matrices without negative eigenvalues."""
    return power(matrix, 0.5)


def squared_wasserstein(one: Gaussian, other: Gaussian) -> float:
    """Return W2^2 = |m0 - m1|^2 + tr(S0 + S1 - 2 (S0^1/2 S1 S0^1/2)^1/2)."""
    half = root(one.covariance)
    between = root(half @ other.covariance @ half)
    spread = (one.covariance + other.covariance - 2 * between).trace()
    return float((one.mean - other.mean).square().sum() + spread)
