"""Merged classes: classes that several tasks learnt apart and that count as one.

A merged class keeps an anchor, a memory and a mixture of its own, and names the class that it
counts as (`ClassEntry.counts_as`). The classes that count as one are a group:

    inference   a group is one candidate. Its score is log sum exp of its members' scores, so that
                its softmax probability is the sum of theirs
    training    for a row of one member the others are no negatives: their columns are left out of
                the softmax denominator, as if they had never been learnt

Without merged classes neither does anything, and every number stays what it was, bit for bit.

Shapes: N images · R rows of a training step · K columns, one per class, k of them in a row ·
P merged columns
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from adapters.contract.class_entry import ClassEntry

_ALONE = -1


class Folded(NamedTuple):
    """Scores with one column per answer.

    Attributes:
        values: (N, K or fewer).
        columns: The columns that were kept, ascending.
    """

    values: Tensor
    columns: tuple[int, ...]


class Partners(NamedTuple):
    """Which columns count as one, ready for training.

    Attributes:
        columns: (P,) int64, the columns that have a partner.
        groups: (K,) int64, the group of every column, -1 where it is alone.
    """

    columns: Tensor
    groups: Tensor

    @classmethod
    def of(cls, classes: Sequence[ClassEntry], *, device: torch.device) -> Self | None:
        """Return the partners among `classes`, in column order; None where every class is alone."""
        groups = column_groups(classes)
        if not groups:
            return None
        of_column = torch.full((len(classes),), _ALONE)
        for number, group in enumerate(groups):
            of_column[list(group)] = number
        columns = (of_column != _ALONE).nonzero()[:, 0]
        return cls(columns.to(device), of_column.to(device))

    def hide(self, logits: Tensor, labels: Tensor, *, first: int = 0) -> None:
        """Set the columns of each row's partners to minus infinity; its own column stays.

        Args:
            logits: (R, k), changed in place: the columns from `first` on, k of them.
            labels: (R,) int64, each row's own column, which may be none of these.
            first: The first of the columns.
        """
        inside = (self.columns >= first) & (self.columns < first + logits.shape[1])
        columns = self.columns[inside]
        together = self.groups[labels][:, None] == self.groups[columns]
        hidden = together & (labels[:, None] != columns)
        places = columns - first
        logits[:, places] = logits[:, places].masked_fill(hidden, -torch.inf)


def column_groups(classes: Sequence[ClassEntry]) -> tuple[tuple[int, ...], ...]:
    """Return the columns that count as one, groups of two or more.

    The first column of a group stands for it: that of the class that the others count as, or the
    earliest where that class is not among `classes` (its task was dropped, or not asked for).
    """
    columns: defaultdict[str, list[int]] = defaultdict(list)
    for column, entry in enumerate(classes):
        columns[entry.counts_as].append(column)
    return tuple(
        tuple(sorted(group, key=lambda column: classes[column].class_id != answer))
        for answer, group in columns.items()
        if len(group) > 1
    )


def fold(values: Tensor, classes: Sequence[ClassEntry]) -> Folded:
    """Return scores with one column per group of `classes`; the others stay bit for bit.

    Args:
        values: (N, K), scores whose softmax are probabilities.
        classes: K, in the order of the columns.
    """
    folded, dropped = values.clone(), set[int]()
    for group in column_groups(classes):
        folded[:, group[0]] = values[:, list(group)].logsumexp(dim=1)
        dropped.update(group[1:])
    columns = tuple(column for column in range(len(classes)) if column not in dropped)
    return Folded(folded[:, list(columns)], columns)
