"""Symmetric matrices, packed: records keep the upper triangle, once.

Shapes: L width of the matrix
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from adapters.errors import CorruptionError

KEPT_WIDTH = 1024
"""Up to it the places of numbers are kept from one matrix to the next: 4 MB at most."""


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
    places = _kept_places(width) if width <= KEPT_WIDTH else _places(width)
    return triangle.index_select(0, places.to(triangle.device)).view(width, width).to(dtype)


def packed_size(width: int) -> int:
    """Return how many numbers the triangle of a matrix of `width` has."""
    return width * (width + 1) // 2


def _upper(width: int, device: torch.device) -> Tensor:
    return torch.ones(width, width, dtype=torch.bool, device=device).triu_()


def _places(width: int) -> Tensor:
    """Return where each number of a matrix is in its triangle, (L L,) int32."""
    rows = torch.arange(width, dtype=torch.int32)
    lower, higher = torch.minimum(rows[:, None], rows), torch.maximum(rows[:, None], rows)
    return (lower * (2 * width - lower - 1) // 2 + higher).flatten()


_kept_places = lru_cache(maxsize=2)(_places)
