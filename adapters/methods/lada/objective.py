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
from adapters.methods.lada.past_softmax import OldClasses
from adapters.methods.lada.softmax import NewClasses, continued_softmax, whole_softmax
from adapters.methods.lada.step_rows import Rows, portions


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
    blocks = [*(() if rows.old else old.memory), *([] if new.memory is None else [new.memory])]
    for portion in portions(rows, blocks, cells=portion_cells):
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
    softmax = continued_softmax if rows.old else whole_softmax
    logits, affinities, denominators, own = softmax(rows, old, new, partners)
    loss = torch.dot(rows.weights, denominators - own)

    # d loss / d logit of a new class: weight * (softmax - 1 on the row's own class).
    slopes = logits.sub_(denominators[:, None]).exp_()
    current = (rows.labels >= known).nonzero()[:, 0]
    slopes[current, rows.labels[current] - known] -= 1
    slopes.mul_(rows.weights[:, None])
    anchors = slopes.t() @ rows.features
    if affinities is None:
        return Gradients(loss, anchors, None)
    weighted = affinities.mul_((new.alpha * slopes)[:, None, :].to(affinities.dtype))
    flat = weighted.view(len(weighted), -1)
    return Gradients(loss, anchors, (flat.t() @ rows.features.to(flat.dtype)).to(anchors.dtype))
