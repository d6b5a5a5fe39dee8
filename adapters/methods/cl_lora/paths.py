"""The layout of wide features on paths: a path is as wide as the joint space, a tower is wider.

A unit vector of the tower's own space is cut into pieces, and one more coordinate makes each piece
a unit row; a prototype is cut alike, with zeros there. Products of rows then add up to the product
of the vectors, exactly.

Shapes: W width of a vector · D width of a path · K paths that a vector takes
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize, pad


def paths_of(width: int, *, path: int) -> int:
    """Return K for vectors of `width` W and paths of D: 1 where both are the same."""
    return 1 if width == path else -(-width // (path - 1))


def on_paths(vectors: Tensor, *, path: int) -> Tensor:
    """Return the directions of vectors (..., W) as unit rows (..., K, D)."""
    directions = normalize(vectors, dim=-1)
    if vectors.shape[-1] == path:
        return directions[..., None, :]
    pieces = _pieces(directions, path=path)
    missing = (1 - pieces.square().sum(dim=-1, keepdim=True)).clamp(min=0).sqrt()
    return torch.cat([pieces, missing], dim=-1)


def against_paths(vectors: Tensor, *, path: int) -> Tensor:
    """Return the directions of vectors (..., W) as rows (..., K D), for cosines with paths."""
    directions = normalize(vectors, dim=-1)
    if vectors.shape[-1] == path:
        return directions
    return pad(_pieces(directions, path=path), (0, 1)).flatten(-2)


def _pieces(directions: Tensor, *, path: int) -> Tensor:
    """Return (..., K, D - 1), filled up with zeros."""
    width, room = directions.shape[-1], path - 1
    count = paths_of(width, path=path)
    filled: Tensor = pad(directions, (0, count * room - width))
    return filled.view(*directions.shape[:-1], count, room)
