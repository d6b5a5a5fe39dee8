"""Targets: columns of a task's images among all classes so far, and classes that count as one.

Shapes: B rows · N images · D feature width · C classes so far · K columns that take part
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.class_entry import ClassEntry
from adapters.contract.merging import Partners
from adapters.contract.training_inputs import TrainingInputs


class Targets:
    """Labels of a task's images as columns, old classes first.

    Attributes:
        labels: (N,) int64, columns.
        old: How many old classes there are.
        classes: All C.

    Args:
        inputs: What the task is learnt from.
        device: Where the products run.
    """

    # Owns: nothing that changes.

    def __init__(self, inputs: TrainingInputs, *, device: torch.device) -> None:
        past, task = inputs.past.records, inputs.task
        known = [entry for record in past for entry in record.classes]
        self.old = len(known)
        self.classes: Sequence[ClassEntry] = (*known, *task.classes)
        self.labels = task.labels.cpu() + self.old
        text = [record.tensors["text_features"] for record in past]
        given = torch.cat([*text, inputs.text.kept()])
        self._text = normalize(given.to(device), dim=-1)
        self._scale = inputs.text.logit_scale
        self._partners = Partners.of(self.classes, device=device)

    def logits(self, features: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits with the frozen text features, (B, C), and labels, (B,), of images.

        Args:
            features: (B, D), unit rows.
            places: (B,) int64, which of the task's images they are.
        """
        return self.against(self._text, features, self.labels[places])

    def against(
        self, text: Tensor, features: Tensor, labels: Tensor, *, columns: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return logits with some text features, partners hidden, and labels among them.

        Args:
            text: (K, D), unit rows.
            features: (B, D), unit rows.
            labels: (B,) int64, columns of all classes.
            columns: (K,) int64, ascending, which ones take part; None for all.
        """
        labels = labels.to(features.device)
        partners = self._partners
        if columns is not None:
            columns = columns.to(features.device)
            labels = torch.searchsorted(columns, labels)
            partners = partners and _of_columns(partners, columns)
        logits = self._scale * features @ text.t()
        if partners is not None:
            partners.hide(logits, labels)
        return logits, labels


def _of_columns(partners: Partners, columns: Tensor) -> Partners:
    """Return the partners among some columns, in the order of these."""
    groups = partners.groups[columns]
    return Partners(columns=(groups >= 0).nonzero()[:, 0], groups=groups)
