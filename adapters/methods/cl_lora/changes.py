"""The low-rank changes of several blocks as two tensors, and how they begin.

Shapes: L blocks · T tasks beside each other · r rank · d width of the tower · 2 projections:
queries, then values
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from adapters.contract.randomness import generator
from adapters.towers.vision_transformer import AttentionChange, LowRank


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BlockChanges:
    """The changes of L blocks of a tower, those after each other.

    Attributes:
        down: (2, L, r, d), or (2, L, T, r, d).
        up: (2, L, d, r), or (2, L, T, d, r).
        weights: (3, L), or (3, L, T), block weights of queries, keys and values; None where all
            are 1. Keys are not changed: their row multiplies nothing.
    """

    down: Tensor
    up: Tensor
    weights: Tensor | None = None

    @property
    def blocks(self) -> int:
        """L."""
        return self.down.shape[1]

    def of_block(self, index: int) -> AttentionChange:
        """Return the change of one of the L blocks."""
        return AttentionChange(query=self._low_rank(0, index), value=self._low_rank(1, index))

    def to(self, device: torch.device) -> Self:
        """Return the same on `device`; the very same where they are there already."""
        weights = None if self.weights is None else self.weights.to(device)
        return replace(self, down=self.down.to(device), up=self.up.to(device), weights=weights)

    def tensors(self) -> tuple[Tensor, ...]:
        """Return all that they are made of."""
        return (self.down, self.up) if self.weights is None else (self.down, self.up, self.weights)

    def _low_rank(self, projection: int, index: int) -> LowRank:
        weight = 1.0 if self.weights is None else self.weights[2 * projection, index]
        return LowRank(
            down=self.down[projection, index], up=self.up[projection, index], weight=weight
        )


def beside(tasks: Sequence[BlockChanges]) -> BlockChanges:
    """Return the changes of T tasks, each of which has block weights, beside each other."""
    return BlockChanges(
        down=torch.stack([each.down for each in tasks], dim=2),
        up=torch.stack([each.up for each in tasks], dim=2),
        weights=torch.stack([each.weights for each in tasks if each.weights is not None], dim=2),
    )


def first_changes(
    *, blocks: int, rank: int, width: int, seed: int, names: Sequence[str], weighted: bool
) -> BlockChanges:
    """Return changes that change nothing yet: Up is zero.

    Every Down is the transposed Q of the QR decomposition of a (d, r) matrix drawn from U(0, 1):
    its rows are orthonormal. LAPACK does not promise the same bits everywhere, so that a Down is
    made once and kept.

    Args:
        blocks: L.
        rank: r.
        width: d.
        seed: Names the draws.
        names: And so do these.
        weighted: Whether block weights are drawn, from U(0.5, 1.5).
    """
    drawn = torch.rand(2, blocks, width, rank, generator=generator(seed, "down", *names))
    weights = None
    if weighted:
        weights = 0.5 + torch.rand(3, blocks, generator=generator(seed, "block weights", *names))
    return BlockChanges(
        down=torch.linalg.qr(drawn).Q.mT.contiguous(),
        up=torch.zeros(2, blocks, width, rank),
        weights=weights,
    )
