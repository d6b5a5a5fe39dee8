"""Nearest class mean classifier: the highest cosine between image and mean feature wins.

A record holds `means` (C, D), the class means, of the length that they have.

Shapes: D feature width · C classes of a record
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor

from adapters.contract.method import Scorer
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.parts.scorers import CosineScorer
from adapters.parts.statistics import class_means
from adapters.parts.training_free import TrainingFree
from adapters.towers.text_side import TextSide


class NearestMean(TrainingFree):
    """The nearest class mean by cosine; the text side only tells unseen classes apart."""

    name: ClassVar[str] = "nearest_mean"

    def tensors(
        self,
        task: TaskFeatures,
        text: TextSide,  # noqa: ARG002 - the base keeps it
        *,
        settings: Mapping[str, Any],  # noqa: ARG002 - there are none
        seed: int,  # noqa: ARG002 - nothing is drawn
    ) -> Mapping[str, Tensor]:
        return {"means": class_means(task)}

    def scorer(self, records: Sequence[Record]) -> Scorer:
        return CosineScorer(tuple(records))
