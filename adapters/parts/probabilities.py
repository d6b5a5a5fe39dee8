"""Log-probabilities as scores, for methods that give probabilities, such as ridge regression.

Shapes: N images · S classes
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from adapters.contract.class_entry import ClassEntry
from adapters.contract.merging import column_groups
from adapters.contract.records import Record
from adapters.parts.readout import columns_at

# Answers below it are noise around zero, or negative.
_FLOOR = 1e-3


def log_probabilities(answers: Tensor, classes: Sequence[ClassEntry]) -> Tensor:
    """Return scores whose softmax are `answers` over their sum, in the same order.

    Ridge regression is linear in its targets: had merged classes been one, its answer would be the
    sum of theirs. So it is here: `adapters.contract.merging.fold` makes the score of that sum out
    of the scores of its parts, which split it by their own probabilities.

    Args:
        answers: (N, S), any finite numbers, probabilities in the main.
        classes: All S classes; those that are merged stand side by side or not.

    Returns:
        (N, S).
    """
    scores = _logarithm(answers)
    for group in column_groups(classes):
        columns = list(group)
        whole = _logarithm(answers[:, columns].sum(dim=1, keepdim=True))
        scores[:, columns] = whole + scores[:, columns].log_softmax(dim=1)
    return scores


def log_probabilities_at(
    answers: Tensor, records: Sequence[Record], positions: Sequence[int]
) -> Tensor:
    """Return the scores of the records at `positions`, out of answers over all `records`.

    Args:
        answers: (N, S), over the classes of all records.
        records: All of them, oldest first.
        positions: Which ones, in ascending order.
    """
    classes = [entry for record in records for entry in record.classes]
    return log_probabilities(answers, classes)[:, columns_at(positions, records)]


def _logarithm(answers: Tensor) -> Tensor:
    """Return the logarithm, which goes on along its tangent where it would end: order is kept."""
    tangent = math.log(_FLOOR) - 1 + answers / _FLOOR
    return torch.where(answers > _FLOOR, answers.clamp(min=_FLOOR).log(), tangent)
