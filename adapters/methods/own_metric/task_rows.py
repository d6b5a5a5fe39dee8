"""Rows of a record in low-rank form: all that images are multiplied with, one below the other.

    directions    (R, D)   |y|^2 = curve . (V^T x)^2 + slope . x + height - |directions (x - mu)|^2
    anchors       (C, D)   a_c . y = anchors_c . (x - mu)
    means         (C, D)   d(x, m_c)^2 = |y|^2 - 2 means_c . (x - mu) + means_c . (m_c - mu)
    slope         (1, D)

y are the task's coordinates (`adapters.methods.own_metric.low_rank`). The rows hold for one common
metric, of which the record carries the digest, so that a version of these records is opened without
a factorisation. Beside another one, as after a drop among the first tasks, they are made anew.

Shapes: D feature width · R directions · C classes of a record
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from adapters.contract.records import Record
from adapters.errors import CorruptionError
from adapters.methods.own_metric.class_tensors import (
    anchors_of,
    centre_of,
    class_tensor,
    freedom_of,
)
from adapters.methods.own_metric.common_metric import CommonMetric
from adapters.methods.own_metric.low_rank import LowRank
from adapters.parts.statistics import Statistic


def row_tensors(metric: LowRank, *, means: Tensor, anchors: Tensor) -> Mapping[str, Tensor]:
    """Return what a record holds of its metric: `rows`, `tail` (1,) and `common` (32,).

    Args:
        metric: Of the task.
        means: (C, D) float32.
        anchors: (C, D) float32, unwhitened.
    """
    basis = metric.common.directions
    slope = -2 * basis @ (metric.curve() * (metric.centre @ basis))
    rows = [
        metric.directions(),
        metric.precise(anchors),
        metric.precise(means.double() - metric.centre),
        slope[None],
    ]
    return {
        "rows": torch.cat(rows).float().contiguous(),
        "tail": torch.tensor([metric.tail], dtype=torch.float32),
        "common": metric.common.digest,
    }


def no_rows(width: int) -> Mapping[str, Tensor]:
    """Return the same of one of the first tasks, which make the common metric: no rows."""
    return {"rows": torch.zeros(0, width)}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TaskRows:
    """The rows of one record, ready to be put beside others.

    Attributes:
        directions: (R, D).
        anchors: (C, D).
        means: (C, D).
        slope: (D,).
        curve: (D,).
        centre: (D,), mu.
        mean_squares: (C,), means_c . (m_c - mu).
        text_weight: w.
        offsets: (C,), what is added to the logits; None for nothing.
    """

    directions: Tensor
    anchors: Tensor
    means: Tensor
    slope: Tensor
    curve: Tensor
    centre: Tensor
    mean_squares: Tensor
    text_weight: float
    offsets: Tensor | None = None

    @classmethod
    def of(cls, record: Record, common: CommonMetric, *, text_weight: float) -> Self:
        """Return the rows of `record` beside the metric `common`.

        Raises:
            CorruptionError: its tensors do not fit its classes.
        """
        tensors, centre = _fitting(record, common), centre_of(record)
        rows, classes = tensors["rows"], len(record.classes)
        directions, anchors, means, slope = torch.split(
            rows, [len(rows) - 2 * classes - 1, classes, classes, 1]
        )
        differences = class_tensor(record, "means") - centre.float()
        offsets = anchors_of(record).offsets
        spread = common.spread(freedom_of(record))
        return cls(
            directions=directions,
            anchors=anchors,
            means=means,
            slope=slope[0],
            curve=(1 / ((1 + tensors["tail"].double()) * spread)).float(),
            centre=centre.float(),
            mean_squares=(means * differences).sum(dim=1),
            text_weight=text_weight,
            offsets=offsets,
        )


def _fitting(record: Record, common: CommonMetric) -> Mapping[str, Tensor]:
    """Return the tensors of `row_tensors` that hold beside `common`."""
    known = record.tensors.get("common")
    if known is not None and torch.equal(known, common.digest):
        _check(record)
        return record.tensors
    metric = LowRank.of(Statistic.of_record(record, "scatter"), common, centre=centre_of(record))
    means = class_tensor(record, "means")
    return row_tensors(metric, means=means, anchors=anchors_of(record).rows)


def _check(record: Record) -> None:
    rows, tail = record.tensors.get("rows"), record.tensors.get("tail")
    width, least = record.tensors["text_features"].shape[1], 2 * len(record.classes) + 1
    if (
        rows is None
        or tail is None
        or tail.shape != (1,)
        or rows.ndim != 2
        or rows.shape[1] != width
        or len(rows) < least
    ):
        raise CorruptionError(
            f"record {record.task!r}: expected rows of shape (at least {least}, {width}) and one "
            f"tail, found {rows if rows is None else tuple(rows.shape)} and "
            f"{tail if tail is None else tuple(tail.shape)}"
        )
