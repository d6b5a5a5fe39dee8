"""Inference in short-list form: the likeliest tasks of an image are told apart as in dense form.

Low-rank form (`adapters.methods.own_metric.low_rank_scorer`) scores every class of every task. What
it has between tasks, which leans on the metric of the first sixteen, then only chooses a short list
of tasks for each image; those on the list get what dense form has for them in the metric of the
version. All others keep the order that they had, and move down together until none of them is above
one that is listed.

    between_t(x) = -sharpness / 2 min over c of t of d_t(x, m_c)^2     t is listed for x
                   that of low-rank form + shift(x)                    otherwise; shift(x) <= 0

The list is made from all tasks of the version, whichever are asked for. A listed task's metric is
factorised when the first image lists it; the latest used ones are kept.

Shapes: N images · D feature width · T tasks · S classes of all records asked for
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Self

import torch
from cachetools import LRUCache
from torch import Tensor
from torch.linalg import solve_triangular

from adapters.contract.method import Query, Scorer
from adapters.contract.records import Record
from adapters.errors import CorruptionError
from adapters.methods.own_metric.class_tensors import centre_of, class_tensor
from adapters.methods.own_metric.common_metric import FIRST_TASKS
from adapters.methods.own_metric.low_rank_scorer import LowRankScorer
from adapters.methods.own_metric.settings import OwnMetricSettings
from adapters.methods.own_metric.whitening import Support, Whitening, squared_distances
from adapters.parts.statistics import Statistic, total

KEPT_METRICS = 256
"""At D = 512 so many take 256 MB."""


class ListedMetric(NamedTuple):
    """One record's metric in a version, and its class means in it.

    Attributes:
        centre: (D,) float32.
        factor: (D, D) float32, lower triangular, F.
        means: (C, D) float32, whitened.
    """

    centre: Tensor
    factor: Tensor
    means: Tensor

    @classmethod
    def of(cls, record: Record, whitening: Whitening) -> Self:
        """Return the metric of `record` that `whitening` is."""
        means = whitening.points(class_tensor(record, "means")).float()
        return cls(whitening.centre.float(), whitening.factor.float(), means)

    def nearest(self, features: Tensor) -> Tensor:
        """Return the squared distance to the nearest class mean, (N,)."""
        points = solve_triangular(self.factor, (features - self.centre).t(), upper=False).t()
        return squared_distances(points, self.means).amin(dim=1)


class ShortListScorer(Scorer):
    """Scores records in short-list form.

    Args:
        records: Oldest first.
        low_rank: Their scorer in low-rank form.
        common: The scatters of all of them, added up.
    """

    # Owns: the metrics that were used last, guarded by `_lock`.

    def __init__(
        self, records: tuple[Record, ...], low_rank: LowRankScorer, common: Statistic
    ) -> None:
        self._records, self._low_rank, self._common = records, low_rank, common
        self._settings = OwnMetricSettings.from_mapping(records[0].settings)
        self._support = Support.of(common, shrinkage=self._settings.shrinkage)
        self._listed = _listed(records[0])
        sizes = torch.tensor([len(record.classes) for record in records])
        self._owners = torch.arange(len(records)).repeat_interleave(sizes)
        self._starts = sizes.cumsum(dim=0) - sizes
        self._metrics = LRUCache[int, ListedMetric](KEPT_METRICS)
        self._lock = threading.Lock()

    @classmethod
    def of(cls, records: tuple[Record, ...]) -> Self:
        """Return the scorer of `records`, oldest first; at least one."""
        return cls(records, LowRankScorer.of(records), total(records, "scatter"))

    def extended(self, record: Record) -> Self:
        common = self._common.merged(Statistic.of_record(record, "scatter"))
        return type(self)((*self._records, record), self._low_rank.extended(record), common)

    def anchors(self, position: int) -> Tensor:
        return self._low_rank.anchors(position)

    def scores(self, query: Query) -> Tensor:
        if len(self._records) <= FIRST_TASKS:  # all of them are in dense form
            return self._low_rank.scores(query)
        columns = self._columns(query.positions)
        text = query.text_logits.new_zeros(len(query.text_logits), len(self._owners))
        text[:, columns] = query.text_logits
        whole = replace(query, text_logits=text, positions=range(len(self._records)))
        within, between = self._low_rank.terms(whole)
        told = self._told_apart(query.features, between[:, self._starts])
        return within[:, columns] + told[:, self._owners[columns]]

    def _told_apart(self, features: Tensor, between: Tensor) -> Tensor:
        """Return what tells tasks apart, (N, T), where `between` is that of low-rank form."""
        listed = between.topk(min(self._listed, between.shape[1]), dim=1).indices
        exact = torch.empty_like(between[:, : listed.shape[1]])
        for position in sorted(set(listed.flatten().tolist())):
            rows, places = (listed == position).nonzero(as_tuple=True)
            nearest = self._metric(position).nearest(features[rows])
            exact[rows, places] = -self._settings.sharpness / 2 * nearest
        others = between.scatter(1, listed, -torch.inf)
        shift = (exact.amin(dim=1) - others.amax(dim=1)).clamp(max=0.0)
        return (between + shift[:, None]).scatter(1, listed, exact)

    def _metric(self, position: int) -> ListedMetric:
        """Return the metric of one record in this version, as dense form has it."""
        with self._lock:
            found = self._metrics.get(position)
        if found is None:
            found = self._factorised(self._records[position])
            with self._lock:
                self._metrics[position] = found
        return found

    def _factorised(self, record: Record) -> ListedMetric:
        own, centre = Statistic.of_record(record, "scatter"), centre_of(record)
        return ListedMetric.of(record, self._support.whitening(own, centre=centre))

    def _columns(self, positions: Sequence[int]) -> Tensor:
        """Return the places of the classes of the records at `positions` among all, (S,) int64."""
        asked = torch.zeros(len(self._records), dtype=torch.bool)
        asked[list(positions)] = True
        return asked[self._owners].nonzero()[:, 0]


def _listed(record: Record) -> int:
    listed = record.tensors.get("listed")
    if listed is None or listed.shape != (1,) or int(listed) < 1:
        raise CorruptionError(
            f"record {record.task!r}: expected how many tasks are listed, found {listed}"
        )
    return int(listed)
