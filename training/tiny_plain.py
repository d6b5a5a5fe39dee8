"""A plain description of a view: where its colours and the directions of its edges lie.

The second tower says it beside what the first tower says, in the directions of the joint space
which the first tower uses least. "Masked Feature Prediction for Self-Supervised Visual
Pre-Training" (arXiv 2112.09133) found such histograms a good thing to predict from some patches.

Shapes: B views · S side in pixels · K numbers of a description · D feature width, 512
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

KEPT = 96
# The description's variance beside that of the embeddings.
_SHARE = 0.25
_DIRECTIONS = 8


def described(pixels: Tensor) -> Tensor:
    """The 8x8 colours and 8 directions of edges in each of 4x4 cells of views (B, 3, S, S)."""
    colours = functional.adaptive_avg_pool2d(pixels, 8).flatten(1) / math.sqrt(3 * 64)
    grey = functional.avg_pool2d(pixels.mean(dim=1, keepdim=True), 2)
    right = grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]
    down = grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]
    strength, turn = torch.hypot(down, right), torch.atan2(down, right) / math.pi + 1
    number = (turn * _DIRECTIONS / 2).long() % _DIRECTIONS
    each = torch.cat([strength * (number == one) for one in range(_DIRECTIONS)], dim=1)
    cells = functional.adaptive_avg_pool2d(each, 4).flatten(1)
    return torch.cat([colours, (cells / (cells.sum(dim=1, keepdim=True) + 1e-3)).sqrt()], dim=1)


@dataclass(frozen=True)
class Plain:
    """How descriptions lie in the joint space.

    Attributes:
        centre: The mean description, (320,).
        directions: The leading ones about it, scaled, (320, K).
        space: Where each of them is said, (D, K), orthonormal.
        variance: Of what is to be said, summed over K.
    """

    centre: Tensor
    directions: Tensor
    space: Tensor
    variance: float

    def wanted(self, pixels: Tensor) -> Tensor:
        """What the tower is to say of views, in the directions of `space`: (B, K)."""
        return (described(pixels) - self.centre) @ self.directions

    def without(self, embedded: Tensor) -> Tensor:
        """Embeddings (…, D) without the directions of `space`."""
        return embedded - embedded @ self.space @ self.space.T


def plain_of(pixels: Tensor, embedded: Tensor, class_rows: Tensor) -> Plain:
    """Chosen by views (N, 3, S, S), what the first tower says of them, and the classes' rows."""
    used = embedded.T.cov() / embedded.var(dim=0).sum() + class_rows.T @ class_rows / len(
        class_rows
    )
    space = torch.linalg.eigh(used)[1][:, :KEPT]
    rows = described(pixels)
    centre = rows.mean(dim=0)
    values, directions = torch.linalg.eigh(rows.T.cov())
    values, directions = values[-KEPT:], directions[:, -KEPT:]
    flatter = values**-0.25  # the square root of each deviation: small ones count more
    variance = _SHARE * float(embedded.var(dim=0).sum())
    scale = math.sqrt(variance / float((values * flatter**2).sum()))
    return Plain(centre, directions * flatter * scale, space, variance)
