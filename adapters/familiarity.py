"""Familiarity: how far an image looks like what a task has learnt, and which ones do not.

    S_t  = covariance of task t + SPREAD / D I = F F^T
    y(x) = F^-1 (x - middle of the class means)
    familiarity of x to t = DIRECTION max over c of cos(y(x), y(m_c))
                            - min over c of |y(x) - y(m_c)|^2 / 100

c are the classes of t and m_c their means. The covariance is of images about them, or what a record
keeps of it: `Method.spread` says it. Nothing but the record of t takes part, so that it says the
same of an image whatever is learnt, dropped or replaced beside it. An image is of none of the
classes where its familiarity to the task of its answer is below a threshold of that task.

Thresholds are fitted with the task: each image is looked at by a metric and means that were made
without its fold, an eighth of the images of each class. Of an image like these, at most the rate
that is asked for lies below the threshold of the rate.

Shapes: N images · D feature width · C classes of a record
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Self
from weakref import ref

import torch
from cachetools import LRUCache
from torch import Tensor
from torch.linalg import cholesky, solve_triangular
from torch.nn.functional import normalize

from adapters.contract.method import Method
from adapters.contract.records import Record
from adapters.contract.task_features import Spread, TaskFeatures
from adapters.contract.tensor_blob import passing
from adapters.contract.thresholds import Thresholds
from adapters.parts.statistics import class_sums

SPREAD = 1.3
"""Variance of a unit feature over all directions together that every task is allowed besides."""

DIRECTION = 1.5
"""What a cosine of one counts beside a hundred of squared distance."""

FOLDS = 8
KEPT = 256
"""Metrics that are kept ready, the latest used ones: 1 MB each at D = 512."""

ROUNDING = 1e-4
"""By so much two computations of one familiarity may differ. Images of which many are the same lie
on a threshold that was fitted to them, and are not unknown."""


class TaskMetric(NamedTuple):
    """What images are compared with.

    Attributes:
        centre: (D,), the middle of the class means.
        factor: (D, D), lower triangular, F.
        means: (C, D), class means in the metric.
    """

    centre: Tensor
    factor: Tensor
    means: Tensor

    @classmethod
    def of(cls, spread: Spread, *, allowed: float = SPREAD) -> Self:
        """Return the metric of a task, in float64.

        Args:
            spread: Of its images.
            allowed: Another `SPREAD`, to try it.
        """
        means, covariance = spread.means.double(), spread.covariance.double().clone()
        covariance.diagonal().add_(allowed / len(covariance))
        factor, centre = cholesky(covariance), means.mean(dim=0)
        return cls(centre, factor, _whitened(means - centre, factor))

    @classmethod
    def of_record(cls, record: Record, method: Method) -> Self:
        """Return the metric of a record, in float32.

        Raises:
            CorruptionError: the record does not tell how its images spread.
        """
        found = cls.of(method.spread(replace(record, tensors=passing(record.tensors))))
        return cls(*(tensor.float() for tensor in found))

    def familiarity(self, features: Tensor, *, direction: float = DIRECTION) -> Tensor:
        """Return how familiar (N, D) features are, (N,).

        Args:
            features: (N, D).
            direction: Another `DIRECTION`, to try it.
        """
        points = _whitened(features.to(self.centre.dtype) - self.centre, self.factor)
        squares = points.square().sum(dim=1, keepdim=True) + self.means.square().sum(dim=1)
        squares = torch.addmm(squares, points, self.means.t(), alpha=-2)
        cosines = normalize(points, dim=1) @ normalize(self.means, dim=1).t()
        return direction * cosines.amax(dim=1) - squares.amin(dim=1) / 100


def _whitened(rows: Tensor, factor: Tensor) -> Tensor:
    solved: Tensor = solve_triangular(factor, rows.t(), upper=False)
    return solved.t()


class Familiarities:
    """The metrics of records, each made when an image first needs it.

    Args:
        method: What has learnt the records.
        kept: How many metrics are kept, the latest used ones.
    """

    # Owns: these metrics, guarded by a lock. Records are not kept for them.

    def __init__(self, method: Method, *, kept: int = KEPT) -> None:
        self._method = method
        self._lock = threading.Lock()
        self._kept: LRUCache[ref[Record], TaskMetric] = LRUCache(kept)

    def of(self, record: Record, features: Tensor) -> Tensor:
        """Return how familiar (N, D) features are to the task of `record`, (N,) float32."""
        return self._metric(record).familiarity(features)

    def _metric(self, record: Record) -> TaskMetric:
        with self._lock:
            found = self._kept.get(ref(record))
        if found is None:
            found = TaskMetric.of_record(record, self._method)
            with self._lock:
                self._kept[ref(record)] = found
        return found


def held_out_familiarity(task: TaskFeatures, method: Method) -> Tensor:
    """Return how familiar each image is to what the images of other folds tell, (n,) float64.

    Images of classes that have no other image are left out.

    Args:
        task: The images.
        method: In whose records' metric.
    """
    features, labels = task.features[:, 0].cpu().double(), task.labels.cpu()
    classes, folds = len(task.classes), _folds(labels, len(task.classes))
    sums, counts = class_sums(features, labels, classes=classes)
    gram, found = features.t() @ features, []
    for fold in range(FOLDS):
        out = folds == fold
        if not bool(out.any()):
            continue
        left, fewer = class_sums(features[out], labels[out], classes=classes)
        kept_counts = counts - fewer
        means = (sums - left) / kept_counts[:, None]
        within = gram - features[out].t() @ features[out] - (means.t() * kept_counts) @ means
        freedom = max(int(kept_counts.sum()) - classes, 1)
        spread = Spread(means, method.kept(within / freedom))
        found.append(TaskMetric.of(spread).familiarity(features[out]))
    return torch.cat(found) if found else features.new_zeros(0)


def with_thresholds(method: Method, record: Record, task: TaskFeatures) -> Record:
    """Return a record with the thresholds of its task; as it is where there are none.

    There are none where the method's records tell of no spread, and of too few images.

    Args:
        method: What has learnt it.
        record: What it has left.
        task: What it was learnt from.
    """
    if not method.rejects:
        return record
    return replace(record, thresholds=Thresholds.of(held_out_familiarity(task, method).tolist()))


def _folds(labels: Tensor, classes: int) -> Tensor:
    """Return the fold of each image, (N,) int64; -1 of those that are alone in their class."""
    folds = torch.full_like(labels, -1)
    for index in range(classes):
        own = (labels == index).nonzero()[:, 0]
        if len(own) > 1:
            folds[own] = torch.arange(len(own)) % FOLDS
    return folds


class Verdict(NamedTuple):
    """Whether an image is of none of the classes.

    Attributes:
        unknown: None where the task of its answer has no threshold of the rate, or where it is
            answered by a label that nobody has learnt.
        familiarity: To the task of its answer; None for one that keeps no thresholds.
    """

    unknown: bool | None
    familiarity: float | None


UNMEASURED = Verdict(unknown=None, familiarity=None)


def verdicts(
    features: Tensor,
    answered: Sequence[tuple[Record, ...]],
    *,
    rate: float,
    known: Familiarities,
) -> list[Verdict]:
    """Return whether images are of none of the classes.

    Args:
        features: (N, D) float32.
        answered: For each image the records whose class it was answered with: several where classes
            are merged, and the one to which it is most familiar decides; none for a label that
            nobody has learnt.
        rate: Of false alarms.
        known: Makes and keeps metrics.
    """
    rows: dict[Record, list[int]] = {}
    for row, records in enumerate(answered):
        for record in records:
            if record.thresholds is not None:
                rows.setdefault(record, []).append(row)
    found: list[list[Verdict]] = [[] for _ in answered]
    for record, places in rows.items():
        assert record.thresholds is not None
        floor = record.thresholds.at(rate)
        for place, value in zip(places, known.of(record, features[places]).tolist(), strict=True):
            is_below = None if floor is None else value < floor - ROUNDING
            found[place].append(Verdict(is_below, value))
    return [_together(each) for each in found]


def _together(found: Sequence[Verdict]) -> Verdict:
    """Return the verdict of an image that several tasks have been asked about."""
    if not found:
        return UNMEASURED
    told = [each for each in found if each.unknown is not None] or found
    return min(told, key=lambda each: (bool(each.unknown), -(each.familiarity or 0.0)))
