"""LADA's training loss and its gradients, written out.

Only the new classes' anchors and memory are learnt, so that the old classes enter with numbers, not
with a graph: their logits are needed for the softmax denominator and nothing flows back into them.
Everything that autograd would keep or compute for them is left out, exactly.

Shapes: R rows (prototypes and images) · D feature width · S old classes · C new classes ·
M memory vectors per class
"""

from typing import NamedTuple

import torch
from torch import Tensor

from adapters.contract.merging import Partners
from adapters.methods.lada.memory import MemoryBlock

# Rows are taken in portions whose affinities fit the caches near a core, or else the GPU's memory.
_PORTION_CELLS = 2**22
_PORTION_CELLS_GPU = 2**28
_LEAST_PORTION = 32


class Rows(NamedTuple):
    """What a step learns from.

    Attributes:
        features: (R, D) float32, unit rows.
        labels: (R,) int64, columns: old classes first.
        weights: (R,), of each row's cross-entropy.
    """

    features: Tensor
    labels: Tensor
    weights: Tensor


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


class Gradients(NamedTuple):
    """The loss and its gradients.

    Attributes:
        loss: (), the weighted sum of cross-entropies (Eq. 1 to 10) over the normaliser.
        anchors: (C, D), with respect to the new anchors.
        memory: (M * C, D), with respect to the memory block's rows; None without memory.
    """

    loss: Tensor
    anchors: Tensor
    memory: Tensor | None


def loss_and_gradients(
    rows: Rows,
    old: OldClasses,
    new: NewClasses,
    *,
    normaliser: float,
    partners: Partners | None = None,
    portion_cells: int | None = None,
) -> Gradients:
    """Return the loss of a step and its gradients with respect to the new classes.

    The loss is sum over rows of weight * CE(text logits + alpha * LADA logits) / normaliser, the
    softmax running over old and new classes; for a row of a merged class, over all but those that
    it is merged with.

    Args:
        rows: What to learn from.
        old: Constants.
        new: Present values.
        normaliser: What the weighted sum is divided by.
        partners: The columns that count as one; None where none do.
        portion_cells: Affinities to hold at once; None for what suits the device.
    """
    loss = rows.features.new_zeros(())
    anchors = torch.zeros_like(new.anchors)
    memory = None if new.memory is None else torch.zeros_like(new.memory.rows, dtype=anchors.dtype)
    for portion in _portions(rows, old, new, cells=portion_cells):
        part = _portion_gradients(portion, old, new, partners)
        loss += part.loss
        anchors += part.anchors
        if memory is not None and part.memory is not None:
            memory += part.memory
    return Gradients(
        loss / normaliser, anchors / normaliser, None if memory is None else memory / normaliser
    )


def _portion_gradients(
    rows: Rows, old: OldClasses, new: NewClasses, partners: Partners | None
) -> Gradients:
    known = old.anchors.shape[0]
    logits = rows.features.new_empty(rows.features.shape[0], known + new.anchors.shape[0])
    logits[:, :known] = old_logits(rows.features, old)
    logits[:, known:] = rows.features @ new.anchors.t()
    affinities = None
    if new.memory is not None:
        affinities = new.memory.affinities(rows.features)
        logits[:, known:].add_(affinities.sum(dim=1, dtype=logits.dtype), alpha=new.alpha)
    if partners is not None:
        partners.hide(logits, rows.labels)

    denominators = logits.logsumexp(dim=1)
    own = logits.gather(1, rows.labels[:, None])[:, 0]
    loss = torch.dot(rows.weights, denominators - own)

    # d loss / d logit of a new class: weight * (softmax - 1 on the row's own class).
    slopes = logits[:, known:].sub_(denominators[:, None]).exp_()
    current = (rows.labels >= known).nonzero()[:, 0]
    slopes[current, rows.labels[current] - known] -= 1
    slopes.mul_(rows.weights[:, None])
    anchors = slopes.t() @ rows.features
    if affinities is None:
        return Gradients(loss, anchors, None)
    weighted = affinities.mul_((new.alpha * slopes)[:, None, :].to(affinities.dtype))
    flat = weighted.view(len(weighted), -1)
    return Gradients(loss, anchors, (flat.t() @ rows.features.to(flat.dtype)).to(anchors.dtype))


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


def _portions(rows: Rows, old: OldClasses, new: NewClasses, *, cells: int | None) -> list[Rows]:
    if cells is None:
        cells = _PORTION_CELLS_GPU if rows.features.is_cuda else _PORTION_CELLS
    blocks = [*old.memory, *([] if new.memory is None else [new.memory])]
    size = max(cells // max([1, *(len(block.bias) for block in blocks)]), _LEAST_PORTION)
    if len(rows.features) <= size:
        return [rows]
    return [
        Rows(*part) for part in zip(*(torch.split(tensor, size) for tensor in rows), strict=True)
    ]
