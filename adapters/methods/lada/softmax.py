"""LADA's softmax over old and new classes, whose old part no step of a training changes.

The old classes enter with numbers, not with a graph. A row may bring the log sum exp of their
logits along, computed once for all steps; then only the new classes' columns are left to a step.

Shapes: R rows (prototypes and images) · D feature width · S old classes · C new classes ·
M memory vectors per class
"""

from typing import NamedTuple

import torch
from torch import Tensor

from adapters.contract.merging import Partners
from adapters.methods.lada.memory import MemoryBlock
from adapters.methods.lada.past_softmax import OldClasses, old_logits
from adapters.methods.lada.step_rows import Rows


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
    affinities = put_new_logits(logits[:, known:], rows.features, new)
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
    affinities = put_new_logits(logits, rows.features, new)
    if partners is not None:
        partners.hide(logits, rows.labels, first=known)
    denominators = torch.logaddexp(rows.old.normalisers, logits.logsumexp(dim=1))
    places = (rows.labels - known).clamp_min(0)[:, None]
    own = torch.where(rows.labels < known, rows.old.own, logits.gather(1, places)[:, 0])
    return Softmax(logits, affinities, denominators, own)


def put_new_logits(logits: Tensor, features: Tensor, new: NewClasses) -> Tensor | None:
    """Write the new classes' logits into `logits`, (R, C), and return their affinities."""
    logits.copy_(features @ new.anchors.t())
    if new.memory is None:
        return None
    affinities = new.memory.affinities(features)
    logits.add_(affinities.sum(dim=1, dtype=logits.dtype), alpha=new.alpha)
    return affinities
