"""Zero-shot CLIP: the text features as they are. Nothing is learnt.

Shapes: D feature width · C classes of a record
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor

from adapters.contract.method import Scorer
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.parts.scorers import CosineScorer
from adapters.parts.training_free import TrainingFree
from adapters.towers.text_side import TextSide


class ZeroShot(TrainingFree):
    """CLIP's own text features, unchanged."""

    name: ClassVar[str] = "zero_shot"

    def tensors(
        self,
        task: TaskFeatures,  # noqa: ARG002 - the text features are all there is
        text: TextSide,  # noqa: ARG002
        *,
        settings: Mapping[str, Any],  # noqa: ARG002
        seed: int,  # noqa: ARG002
    ) -> Mapping[str, Tensor]:
        return {}

    def scorer(self, records: Sequence[Record]) -> Scorer:
        return CosineScorer(tuple(records))
