"""Symmetric matrices, packed: records keep the upper triangle, once.

Shapes: L width of the matrix
"""

import math

import torch
from torch import Tensor

from adapters.errors import CorruptionError


def packed(matrix: Tensor) -> Tensor:
    """Return the upper triangle of `matrix`, row by row.

    Args:
        matrix: (L, L), symmetric.

    Returns:
        (L (L + 1) / 2,) float32 on the CPU.
    """
    return matrix[_upper(len(matrix), matrix.device)].detach().to("cpu", torch.float32)


def unpacked(triangle: Tensor, *, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return the matrix whose upper triangle is `triangle`, (L, L), exactly symmetric.

    Args:
        triangle: (L (L + 1) / 2,), as `packed` returns it.
        dtype: Of the result; float64, because sums over many tasks lose digits in float32.

    Raises:
        CorruptionError: no matrix has a triangle of that size.
    """
    width = (math.isqrt(8 * triangle.numel() + 1) - 1) // 2
    if triangle.ndim != 1 or width * (width + 1) // 2 != triangle.numel():
        raise CorruptionError(
            f"symmetric matrix: expected L (L + 1) / 2 numbers, found {tuple(triangle.shape)}"
        )
    matrix, upper = torch.empty(width, width, dtype=dtype), _upper(width, triangle.device)
    matrix[upper] = triangle.to(dtype)
    matrix.t()[upper] = triangle.to(dtype)
    return matrix


def packed_size(width: int) -> int:
    """Return how many numbers the triangle of a matrix of `width` has."""
    return width * (width + 1) // 2


def _upper(width: int, device: torch.device) -> Tensor:
    return torch.ones(width, width, dtype=torch.bool, device=device).triu_()
