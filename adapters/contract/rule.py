"""The inference rule: text logits and a method's scores become one prediction.

The rule, for text logits z over seen and unseen classes (the cosine times the logit scale):

    s = argmax z
    s unseen:  the prediction is s, whatever the method says
    s seen:    the prediction is the argmax of the method's scores over the seen classes

For LADA the scores are z + alpha * a with a of Eq. 6. Ties go to the first column, records in their
order and unseen classes last. Classes with one and the same anchor get one and the same text logit,
so that rounding cannot decide between them.

Shapes: N images · D feature width · S seen classes · U unseen classes · C classes of one group
"""

import copy
import hashlib
from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor


class AnchorRows(NamedTuple):
    """Anchors that enter one product.

    Attributes:
        rows: (C, D), unit rows.
        keys: C digests; equal rows have equal digests.
    """

    rows: Tensor
    keys: tuple[bytes, ...]

    @classmethod
    def of(cls, rows: Tensor) -> Self:
        """Return `rows` with their digests."""
        stored = rows.detach().cpu().contiguous().numpy()
        return cls(rows, tuple(hashlib.sha256(row.data).digest() for row in stored))


class Anchors:
    """Groups of anchors side by side, and the column that each class's logit is read from.

    A class whose anchor was there before takes the earlier one's logit. Immutable.

    Args:
        groups: In the order of the columns.
    """

    def __init__(self, groups: Sequence[AnchorRows]) -> None:
        self._groups = tuple(groups)
        self._first: dict[bytes, int] = {}
        keys = (key for group in groups for key in group.keys)
        self._sources = [self._first.setdefault(key, column) for column, key in enumerate(keys)]

    def with_group(self, group: AnchorRows) -> Self:
        """Return these and one more group."""
        extended = copy.copy(self)
        extended._groups = (*self._groups, group)
        extended._first = dict(self._first)
        extended._sources = list(self._sources)
        for column, key in enumerate(group.keys, len(self._sources)):
            extended._sources.append(extended._first.setdefault(key, column))
        return extended

    def logits(self, features: Tensor, *, scale: float) -> Tensor:
        """Return scale * cosine for every anchor, (N, S + U).

        Every group is a product of its own, so that a group's logits do not depend on the others.
        """
        if not self._groups:
            return features.new_zeros(len(features), 0)
        products = [features @ group.rows.t() for group in self._groups]
        logits = torch.cat(products, dim=1).mul_(scale)
        if len(self._first) == len(self._sources):
            return logits
        return logits[:, torch.tensor(self._sources, device=logits.device)]


def combined(text: Tensor, scores: Tensor) -> Tensor:
    """Return the scores of the rule above.

    Args:
        text: (N, S + U), text logits, seen classes first.
        scores: (N, S), the method's scores over the seen classes.

    Returns:
        (N, S + U): the text logits where an unseen class has the highest; elsewhere the scores, and
        minus infinity for the unseen classes.
    """
    seen = scores.shape[1]
    if text.shape[1] == seen:
        return scores
    wins = (text.argmax(dim=1) >= seen)[:, None] if seen else torch.ones(len(text), 1).bool()
    beside = torch.where(wins, text[:, seen:], -torch.inf)
    return torch.cat([torch.where(wins, text[:, :seen], scores), beside], dim=1)
