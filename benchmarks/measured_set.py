"""Image sets to learn one after the other, and how well they are recognised afterwards.

Shapes: N images · D feature width · K tasks
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from adapters.inference import Adapter, UnseenClasses
from adapters.records import ClassEntry
from adapters.task_features import TaskFeatures
from adapters.text_side import TextSide


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MeasuredSet:
    """One image set.

    Attributes:
        task: Its training features.
        text: Its text side.
        held_out: (N, D) float32, unit rows of the images it is measured on.
        held_out_labels: (N,) int64.
    """

    task: TaskFeatures
    text: TextSide
    held_out: Tensor
    held_out_labels: Tensor


def accuracy(adapter: Adapter, measured: MeasuredSet, unseen: UnseenClasses | None) -> float:
    """Return the share of held-out images whose class is predicted, between 0 and 1."""
    predicted = adapter.predict(
        measured.held_out,
        encoder=adapter.encoder,
        logit_scale=measured.text.logit_scale,
        unseen=unseen,
    )
    expected = [measured.task.classes[label] for label in measured.held_out_labels.tolist()]
    return sum(map(ClassEntry.__eq__, predicted, expected)) / len(expected)


def unseen_of(sets: Sequence[MeasuredSet]) -> UnseenClasses | None:
    """Return the classes of `sets` as unseen ones."""
    if not sets:
        return None
    return UnseenClasses(
        classes=tuple(entry for each in sets for entry in each.task.classes),
        text_features=torch.cat([each.text.features for each in sets]),
    )
