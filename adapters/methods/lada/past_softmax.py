"""The old classes' part of LADA's softmax, which nothing that is learnt changes.

Shapes: R rows (prototypes and images) · D feature width · S old classes
"""

from typing import NamedTuple

import torch
from torch import Tensor

from adapters.contract.merging import Partners
from adapters.methods.lada.memory import MemoryBlock
from adapters.methods.lada.step_rows import OldPart, Rows, portions

_OWN_ROWS = 1024
"""Rows whose own memory is gathered at once."""


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


def own_logits(rows: Rows, old: OldClasses) -> Tensor:
    """Return the logit of each row's own class, (R,); all rows are of old classes.

    Costs no more than the rows' own classes, where `old_logits` meets all of them.
    """
    logits = torch.einsum("rd,rd->r", rows.features, old.anchors[rows.labels])
    start = 0
    for block in old.memory:
        inside = ((rows.labels >= start) & (rows.labels < start + block.classes)).nonzero()[:, 0]
        for places in torch.split(inside, _OWN_ROWS):
            labels = rows.labels[places]
            memory = block.own_logits(rows.features[places], labels - start)
            logits[places] += old.alphas[labels] * memory.to(logits.dtype)
        start += block.classes
    return logits


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
