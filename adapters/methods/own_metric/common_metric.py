"""The common metric: how far images of the first tasks spread, which all later ones lean on.

    W = V diag(l) V^T     of the first `FIRST_TASKS` records
    a = D l / (images - classes + D) + shrinkage tr(W) / D     for one task, (D,)

V diag(a) V^T is what a task's own images are measured against. It is found once for a version,
whatever the number of its records, and the same for all versions that begin with the same ones.

Shapes: D feature width
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor

from adapters.contract.records import Record
from adapters.methods.own_metric.whitening import mean_variance, pooled
from adapters.parts.statistics import total

FIRST_TASKS = 16
"""So many records make the common metric. Records say that they were learnt in low-rank form, which
means this number: to change it is to make another form."""


class CommonMetric(NamedTuple):
    """W by its directions.

    Attributes:
        directions: (D, D) float64, V, whose columns they are.
        variances: (D,) float64, l, none below zero.
        floor: What is added in every direction.
        digest: (32,) uint8, of the records that it was made of.
    """

    directions: Tensor
    variances: Tensor
    floor: float
    digest: Tensor

    @classmethod
    def of(cls, records: Sequence[Record], *, shrinkage: float) -> Self:
        """Return the metric of the first tasks.

        Args:
            records: Of a version, oldest first; at least one. All but the first are passed over.
            shrinkage: Share of the mean variance that is added in every direction.

        Raises:
            ClassNameError: a class is in two of them.
            CorruptionError: a record holds no scatter.
        """
        first = records[:FIRST_TASKS]
        shared = pooled(total(first, "scatter"))
        variances, directions = torch.linalg.eigh(shared)
        return cls(
            directions=directions,
            variances=variances.clamp(min=0.0),
            floor=shrinkage * mean_variance(shared),
            digest=_digest(first),
        )

    def spread(self, freedom: int) -> Tensor:
        """Return a, (D,), for a task whose images outnumber its classes by `freedom`."""
        width = len(self.variances)
        return self.variances * (width / (freedom + width)) + self.floor


def _digest(records: Sequence[Record]) -> Tensor:
    """Return a digest of what the metric depends on, (32,) uint8."""
    found = hashlib.sha256()
    for record in records:
        found.update(record.tensors["scatter"].contiguous().numpy().data)
        found.update(record.tensors["image_counts"].contiguous().numpy().data)
    return torch.frombuffer(bytearray(found.digest()), dtype=torch.uint8)
