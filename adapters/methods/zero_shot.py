"""Zero-shot CLIP: the text features as they are. Nothing is learnt.

Shapes: D feature width · C classes of a record
"""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from adapters.contract.adapter_state import AdapterState
from adapters.contract.method import Scorer
from adapters.contract.training_inputs import TrainingInputs
from adapters.parts.scorers import CosineScorer
from adapters.parts.training_free import TrainingFree


class ZeroShot(TrainingFree):
    """CLIP's own text features, unchanged."""

    name: ClassVar[str] = "zero_shot"
    tempered: ClassVar[bool] = True
    scores_stay: ClassVar[bool] = True
    scores_anywhere: ClassVar[bool] = True

    def tensors(self, inputs: TrainingInputs) -> Mapping[str, Tensor]:
        del inputs  # the text features are all there is
        return {}

    def scorer(self, state: AdapterState) -> Scorer:
        return CosineScorer(state.records)
