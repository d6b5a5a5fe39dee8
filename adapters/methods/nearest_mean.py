"""Nearest class mean classifier: the highest cosine between image and mean feature wins.

A record holds `means` (C, D), the class means, of the length that they have.

Shapes: D feature width · C classes of a record
"""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from adapters.contract.adapter_state import AdapterState
from adapters.contract.method import Scorer
from adapters.contract.training_inputs import TrainingInputs
from adapters.parts.scorers import CosineScorer
from adapters.parts.statistics import class_means
from adapters.parts.training_free import TrainingFree


class NearestMean(TrainingFree):
    """The nearest class mean by cosine; the text side only tells unseen classes apart."""

    name: ClassVar[str] = "nearest_mean"
    tempered: ClassVar[bool] = True
    scores_stay: ClassVar[bool] = True
    scores_anywhere: ClassVar[bool] = True

    def tensors(self, inputs: TrainingInputs) -> Mapping[str, Tensor]:
        return {"means": class_means(inputs.task)}

    def scorer(self, state: AdapterState) -> Scorer:
        return CosineScorer(state.records)
