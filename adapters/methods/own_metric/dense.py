"""Inference in dense form: every task's metric is a D x D matrix, renewed in every version.

Shapes: N images · D feature width · C classes of a record
"""

from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.method import Query
from adapters.contract.records import Record
from adapters.contract.shared_settings import shared_settings
from adapters.methods.own_metric.class_tensors import (
    anchors_of,
    centre_of,
    class_tensor,
    text_weight,
)
from adapters.methods.own_metric.settings import SHARED, OwnMetricSettings
from adapters.methods.own_metric.whitening import Whitening, squared_distances
from adapters.parts.scorers import AnchoredScorer
from adapters.parts.statistics import Statistic, total


class TaskMetric(NamedTuple):
    """One record's metric and its class means in it.

    Attributes:
        centre: (D,) float32.
        inverse: (D, D) float32, the transpose of F^-1.
        means: (C, D) float32, whitened.
    """

    centre: Tensor
    inverse: Tensor
    means: Tensor

    @classmethod
    def of(cls, record: Record, whitening: Whitening) -> Self:
        """Return the metric of `record` that `whitening` is."""
        identity = torch.eye(len(whitening.factor), dtype=torch.float64)
        return cls(
            centre=whitening.centre.float(),
            inverse=whitening.vectors(identity).float().contiguous(),
            means=whitening.points(class_tensor(record, "means")).float(),
        )

    def points(self, features: Tensor) -> Tensor:
        """Return (N, D) features, whitened."""
        return (features - self.centre) @ self.inverse

    def nearest(self, features: Tensor) -> Tensor:
        """Return the squared distance to the nearest class mean, (N, 1)."""
        return squared_distances(self.points(features), self.means).amin(dim=1, keepdim=True)


class RecordClassifier(NamedTuple):
    """What tells the classes of one record apart.

    Attributes:
        metric: Of the record.
        anchors: (C, D) float32, whitened.
        text_weight: w.
        offsets: (C,) float32, what is added to the logits; None for nothing.
    """

    metric: TaskMetric
    anchors: Tensor
    text_weight: float
    offsets: Tensor | None = None

    @classmethod
    def of(cls, record: Record, whitening: Whitening, *, text_weight: float) -> Self:
        """Return the classifier of `record` in the metric that `whitening` is."""
        anchors = anchors_of(record)
        return cls(
            metric=TaskMetric.of(record, whitening),
            anchors=whitening.vectors(anchors.rows).float(),
            text_weight=text_weight,
            offsets=anchors.offsets,
        )

    def log_probabilities(
        self, features: Tensor, text_logits: Tensor, *, sharpness: float
    ) -> Tensor:
        """Return log p_t(c | x), (N, C)."""
        points = self.metric.points(features)
        logits = normalize(points, dim=1) @ self.anchors.t() + self.text_weight * text_logits
        logits -= sharpness / 2 * squared_distances(points, self.metric.means)
        if self.offsets is not None:
            logits += self.offsets
        return logits.log_softmax(dim=1)


class DenseScorer(AnchoredScorer):
    """The classifiers of all records, and the distances between tasks.

    Args:
        records: Oldest first.
        before: The scorer of all records but the last, where it is known.
    """

    def __init__(self, records: tuple[Record, ...], *, before: "DenseScorer | None" = None) -> None:
        settings = shared_settings(records, OwnMetricSettings, names=SHARED)
        super().__init__(records)
        self._settings = settings
        self._classifiers: tuple[RecordClassifier, ...] = before._classifiers if before else ()
        common: Statistic | None = before._common if before else None
        for place in range(len(self._classifiers), len(records)):
            common = total(records[: place + 1], "scatter", before=common)
            self._classifiers = (*self._classifiers, self.classifier(records[place], common))
        assert common is not None
        self._common: Statistic = common
        # The newest classifier is in the metric of the version already.
        older = (TaskMetric.of(record, self.whitening(record, common)) for record in records[:-1])
        self._metrics = (*older, self._classifiers[-1].metric)

    def whitening(self, record: Record, common: Statistic) -> Whitening:
        """Return the whitening of `record`, `common` being the scatter that holds it together."""
        return Whitening.of(
            Statistic.of_record(record, "scatter"),
            common,
            centre=centre_of(record),
            shrinkage=self._settings.shrinkage,
        )

    def classifier(self, record: Record, common: Statistic) -> RecordClassifier:
        """Return the classifier of `record`; `common` as in `whitening`."""
        weight = text_weight(record, fusion=self._settings.fusion)
        return RecordClassifier.of(record, self.whitening(record, common), text_weight=weight)

    def extended(self, record: Record) -> "DenseScorer":
        return type(self)((*self._records, record), before=self)

    def within(self, position: int, features: Tensor, text_logits: Tensor) -> Tensor:
        """Return log p_t(c | x) of the record at `position`, (N, C).

        Args:
            position: Which record.
            features: (N, D).
            text_logits: (N, C), those of its classes.
        """
        return self._classifiers[position].log_probabilities(
            features, text_logits, sharpness=self._settings.sharpness
        )

    def between(self, position: int, features: Tensor) -> Tensor:
        """Return what the task of the record at `position` has over others, (N, 1)."""
        return -self._settings.sharpness / 2 * self._metrics[position].nearest(features)

    def scores(self, query: Query) -> Tensor:
        within, between = self.terms(query)
        return within.add_(between)

    def terms(self, query: Query) -> tuple[Tensor, Tensor]:
        """Return what the scores are the sum of: within records and between them, (N, S) each."""
        sizes = [len(self._records[position].classes) for position in query.positions]
        own_texts = torch.split(query.text_logits, sizes, dim=1)
        none = query.text_logits[:, :0]
        within = [
            self.within(position, query.features, own_text)
            for position, own_text in zip(query.positions, own_texts, strict=True)
        ]
        between = [
            self.between(position, query.features).expand(-1, size)
            for position, size in zip(query.positions, sizes, strict=True)
        ]
        return torch.cat([none, *within], dim=1), torch.cat([none, *between], dim=1)
