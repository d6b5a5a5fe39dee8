"""The rows of a LADA training step, and what is known of their softmax before it.

Shapes: R rows (prototypes and images) · D feature width · S old classes
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from adapters.methods.lada.memory import MemoryBlock

# Rows are taken in portions whose affinities fit the caches near a core, or else the GPU's memory.
_PORTION_CELLS = 2**22
_PORTION_CELLS_GPU = 2**28
_LEAST_PORTION = 32


class OldPart(NamedTuple):
    """The old classes' part of each row's softmax, where it was computed before the step.

    Attributes:
        normalisers: (R,), log sum exp of the old classes' logits.
        own: (R,), the logit of the row's own class where that is an old one, zero elsewhere.
    """

    normalisers: Tensor
    own: Tensor


class Rows(NamedTuple):
    """What a step learns from.

    Attributes:
        features: (R, D) float32, unit rows.
        labels: (R,) int64, columns: old classes first.
        weights: (R,), of each row's cross-entropy.
        old: The old classes' part of the softmax; None where the step computes it.
    """

    features: Tensor
    labels: Tensor
    weights: Tensor
    old: OldPart | None = None

    def part(self, places: slice) -> "Rows":
        """Return the rows at `places`."""
        features, labels, weights = (each[places] for each in self[:3])
        old = self.old and OldPart(*(each[places] for each in self.old))
        return Rows(features, labels, weights, old)

    def followed_by(self, others: "Rows") -> "Rows":
        """Return these rows and then `others`; both bring their old part along, or neither."""
        features, labels, weights = (
            torch.cat(pair) for pair in zip(self[:3], others[:3], strict=True)
        )
        old = None
        if self.old is not None and others.old is not None:
            old = OldPart(*(torch.cat(pair) for pair in zip(self.old, others.old, strict=True)))
        return Rows(features, labels, weights, old)


def portions(rows: Rows, blocks: Sequence[MemoryBlock], *, cells: int | None) -> list[Rows]:
    """Return `rows` in portions, none of which has more than `cells` affinities in one block."""
    if cells is None:
        cells = _PORTION_CELLS_GPU if rows.features.is_cuda else _PORTION_CELLS
    size = max(cells // max([1, *(len(block.bias) for block in blocks)]), _LEAST_PORTION)
    return [rows.part(slice(start, start + size)) for start in range(0, len(rows.features), size)]
