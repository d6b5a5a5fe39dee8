"""Familiarity: how far an image looks like what a task has learnt, and which ones do not.

    S_t  = scatter of task t / (images - classes) + SPREAD / D I = F F^T
    y(x) = F^-1 (x - middle of the class means)
    familiarity of x to t = DIRECTION max over c of cos(y(x), y(m_c))
                            - min over c of |y(x) - y(m_c)|^2 / 100

c are the classes of t and m_c their means. Nothing but the record of t takes part, so that it says
the same of an image whatever is learnt, dropped or replaced beside it. An image is of none of the
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
from weakref import WeakKeyDictionary

import torch
from cachetools import LRUCache
from torch import Tensor
from torch.linalg import cholesky, solve_triangular
from torch.nn.functional import normalize, one_hot

from adapters.contract.method import Method
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.contract.thresholds import Thresholds
from adapters.errors import CorruptionError
from adapters.parts.symmetric import unpacked

SPREAD = 1.3
"""Variance of a unit feature over all directions together that every task is allowed besides."""

DIRECTION = 1.5
"""What a cosine of one counts beside a hundred of squared distance."""

FOLDS = 8
KEPT = 256
"""Metrics that are kept ready, the latest used ones: 1 MB each at D = 512."""


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
    def of(cls, means: Tensor, scatter: Tensor, *, freedom: int, spread: float = SPREAD) -> Self:
        """Return the metric of a task, in float64.

        Args:
            means: (C, D), of its classes.
            scatter: (D, D), of its images about them.
            freedom: By how many images these outnumber the classes.
            spread: Another `SPREAD`, to try it.
        """
        means = means.double()
        covariance = scatter.double() / max(freedom, 1)
        covariance.diagonal().add_(spread / len(scatter))
        factor, centre = cholesky(covariance), means.mean(dim=0)
        return cls(centre, factor, _whitened(means - centre, factor))

    @classmethod
    def of_record(cls, record: Record) -> Self:
        """Return the metric of a record, in float32.

        Raises:
            CorruptionError: it has no class means, image counts or scatter.
        """
        try:
            means, counts = record.tensors["means"], record.tensors["image_counts"]
            scatter = unpacked(record.tensors["scatter"])
        except KeyError as error:
            raise CorruptionError(f"record {record.task!r}: tensor missing: {error}") from error
        found = cls.of(means, scatter, freedom=int(counts.sum()) - len(record.classes))
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
    """The metrics of records, each made when an image first needs it."""

    # Owns: the latest used metrics, guarded by a lock. A metric goes with its record.

    def __init__(self, *, kept: int = KEPT) -> None:
        self._lock = threading.Lock()
        self._order: LRUCache[int, None] = LRUCache(kept)
        self._known: WeakKeyDictionary[Record, TaskMetric] = WeakKeyDictionary()

    def of(self, record: Record, features: Tensor) -> Tensor:
        """Return how familiar (N, D) features are to the task of `record`, (N,) float32."""
        return self._metric(record).familiarity(features)

    def _metric(self, record: Record) -> TaskMetric:
        with self._lock:
            found = self._known.get(record)
            self._order[id(record)] = None
        if found is None:
            found = TaskMetric.of_record(record)
            with self._lock:
                for other in [each for each in self._known if id(each) not in self._order]:
                    del self._known[other]
                self._known[record] = found
        return found


def held_out_familiarity(task: TaskFeatures) -> Tensor:
    """Return how familiar each image is to what the images of other folds tell, (n,) float64.

    Images of classes that have no other image are left out.
    """
    features, labels = task.features[:, 0].cpu().double(), task.labels.cpu()
    classes, folds = len(task.classes), _folds(labels, len(task.classes))
    owners = one_hot(labels, classes).double()
    sums, counts = owners.t() @ features, owners.sum(dim=0)
    gram, found = features.t() @ features, []
    for fold in range(FOLDS):
        out = folds == fold
        if not bool(out.any()):
            continue
        kept_counts = counts - owners[out].sum(dim=0)
        means = (sums - owners[out].t() @ features[out]) / kept_counts[:, None]
        within = gram - features[out].t() @ features[out] - (means.t() * kept_counts) @ means
        freedom = int(kept_counts.sum()) - classes
        found.append(TaskMetric.of(means, within, freedom=freedom).familiarity(features[out]))
    return torch.cat(found) if found else features.new_zeros(0)


def with_thresholds(method: Method, record: Record, task: TaskFeatures) -> Record:
    """Return a record with the thresholds of its task; as it is where there are none.

    There are none where the method keeps no class means and scatter, and of too few images.

    Args:
        method: What has learnt it.
        record: What it has left.
        task: What it was learnt from.
    """
    if not method.rejects:
        return record
    return replace(record, thresholds=Thresholds.of(held_out_familiarity(task).tolist()))


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
            found[place].append(Verdict(None if floor is None else value < floor, value))
    return [_together(each) for each in found]


def _together(found: Sequence[Verdict]) -> Verdict:
    """Return the verdict of an image that several tasks have been asked about."""
    if not found:
        return UNMEASURED
    told = [each for each in found if each.unknown is not None] or found
    return min(told, key=lambda each: (bool(each.unknown), -(each.familiarity or 0.0)))
