"""LADA's softmax over old and new classes, whose old part no step of a training changes.

The old classes enter with numbers, not with a graph. A row may bring the log sum exp of their
logits along, computed once for all steps; then only the new classes' columns are left to a step.

Shapes: R rows (prototypes and images) · D feature width · S old classes · C new classes ·
M memory vectors per class
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from adapters.contract.merging import Partners
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


class OldClasses(NamedTuple):
    """The constant part of the classifier.

    Attributes:
        anchors: (S, D), unit rows times the logit scale.
        memory: Their memory in column order, blocks that cover all S classes; none at all where
            nothing has memory.
        alphas: (S,), each class's factor of its memory logits.
    """

    anchors: Tensor
    memory: tuple[MemoryBlock, ...]
    alphas: Tensor


class NewClasses(NamedTuple):
    """The part of the classifier that is being learnt, at its present values.

    Attributes:
        anchors: (C, D), unit rows times the logit scale.
        memory: Their memory, if they have one.
        alpha: The factor of the memory logits.
    """

    anchors: Tensor
    memory: MemoryBlock | None
    alpha: float


class Softmax(NamedTuple):
    """The softmax of each row over old and new classes.

    Attributes:
        logits: (R, C), of the new classes.
        affinities: (R, M, C), of the new memory; None without memory.
        denominators: (R,), log sum exp over all classes.
        own: (R,), the logit of the row's own class.
    """

    logits: Tensor
    affinities: Tensor | None
    denominators: Tensor
    own: Tensor


def whole_softmax(
    rows: Rows, old: OldClasses, new: NewClasses, partners: Partners | None
) -> Softmax:
    """Return the softmax, all columns of it computed now."""
    known = old.anchors.shape[0]
    logits = rows.features.new_empty(rows.features.shape[0], known + new.anchors.shape[0])
    logits[:, :known] = old_logits(rows.features, old)
    affinities = _put_new_logits(logits[:, known:], rows.features, new)
    if partners is not None:
        partners.hide(logits, rows.labels)
    own = logits.gather(1, rows.labels[:, None])[:, 0]
    return Softmax(logits[:, known:], affinities, logits.logsumexp(dim=1), own)


def continued_softmax(
    rows: Rows, old: OldClasses, new: NewClasses, partners: Partners | None
) -> Softmax:
    """Return the softmax whose old part the rows bring along."""
    assert rows.old is not None
    known = old.anchors.shape[0]
    logits = rows.features.new_empty(rows.features.shape[0], new.anchors.shape[0])
    affinities = _put_new_logits(logits, rows.features, new)
    if partners is not None:
        partners.hide(logits, rows.labels, first=known)
    denominators = torch.logaddexp(rows.old.normalisers, logits.logsumexp(dim=1))
    places = (rows.labels - known).clamp_min(0)[:, None]
    own = torch.where(rows.labels < known, rows.old.own, logits.gather(1, places)[:, 0])
    return Softmax(logits, affinities, denominators, own)


def _put_new_logits(logits: Tensor, features: Tensor, new: NewClasses) -> Tensor | None:
    """Write the new classes' logits into `logits`, (R, C), and return their affinities."""
    logits.copy_(features @ new.anchors.t())
    if new.memory is None:
        return None
    affinities = new.memory.affinities(features)
    logits.add_(affinities.sum(dim=1, dtype=logits.dtype), alpha=new.alpha)
    return affinities


def old_part(
    rows: Rows,
    old: OldClasses,
    *,
    partners: Partners | None = None,
    portion_cells: int | None = None,
) -> OldPart:
    """Return the old classes' part of the softmax of `rows`, which no step of a training changes.

    Args:
        rows: Any; their weights do not matter.
        old: At least one class.
        partners: The columns that count as one; None where none do.
        portion_cells: Affinities to hold at once; None for what suits the device.
    """
    if not len(rows.features):
        return OldPart(rows.weights, rows.weights)
    parts = [
        _portion_old_part(portion, old, partners)
        for portion in portions(rows, old.memory, cells=portion_cells)
    ]
    return OldPart(*(torch.cat(each) for each in zip(*parts, strict=True)))


def _portion_old_part(rows: Rows, old: OldClasses, partners: Partners | None) -> OldPart:
    known = old.anchors.shape[0]
    logits = old_logits(rows.features, old)
    if partners is not None:
        partners.hide(logits, rows.labels)
    places = rows.labels.clamp_max(known - 1)[:, None]
    own = logits.gather(1, places)[:, 0].masked_fill(rows.labels >= known, 0.0)
    return OldPart(logits.logsumexp(dim=1), own)


def old_logits(features: Tensor, old: OldClasses) -> Tensor:
    """Return the old classes' logits, (R, S): text logits plus alpha times LADA's."""
    logits = features @ old.anchors.t()
    start = 0
    for block in old.memory:
        columns = slice(start, start + block.classes)
        logits[:, columns].addcmul_(
            block.logits(features).to(logits.dtype), old.alphas[columns].expand(len(logits), -1)
        )
        start += block.classes
    return logits


def portions(rows: Rows, blocks: Sequence[MemoryBlock], *, cells: int | None) -> list[Rows]:
    """Return `rows` in portions, none of which has more than `cells` affinities in one block."""
    if cells is None:
        cells = _PORTION_CELLS_GPU if rows.features.is_cuda else _PORTION_CELLS
    size = max(cells // max([1, *(len(block.bias) for block in blocks)]), _LEAST_PORTION)
    return [rows.part(slice(start, start + size)) for start in range(0, len(rows.features), size)]
