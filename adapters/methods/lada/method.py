"""LADA as a method: its learner, its records and their scorer put together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor

from adapters.contract.adapter_state import AdapterState
from adapters.contract.memory_format import MemoryFormat
from adapters.contract.method import Learner, Learnt, Method, Scorer
from adapters.contract.mixture import Mixture
from adapters.contract.records import Record
from adapters.contract.task_features import Spread, TaskFeatures
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import SettingsError
from adapters.methods.lada.learner import LadaLearner
from adapters.methods.lada.record import mixture_tensors, record_spread, spread_tensors
from adapters.methods.lada.scorer import LadaScorer
from adapters.methods.lada.settings import LadaSettings
from adapters.parts.spreads import Directions


@dataclass(frozen=True)
class Lada(Method):
    """LADA with the published equations; see `LadaSettings` for its variants.

    Attributes:
        memory: The format in which its scorers keep memory vectors.
    """

    memory: MemoryFormat = "float32"
    name: ClassVar[str] = "lada"
    settings_type: ClassVar[type[LadaSettings]] = LadaSettings
    scores_stay: ClassVar[bool] = True
    takes_over: ClassVar[bool] = True
    rejects: ClassVar[bool] = True
    scores_anywhere: ClassVar[bool] = True

    def keeping(self, memory: MemoryFormat) -> Method:
        return replace(self, memory=memory)

    def check_settings(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        return LadaSettings.from_mapping(settings).as_mapping()

    def start(self, inputs: TrainingInputs) -> Learner:
        return LadaLearner(inputs, settings=LadaSettings.from_mapping(inputs.settings))

    def resume(self, checkpoint: bytes, inputs: TrainingInputs) -> Learner:
        return LadaLearner.resumed(checkpoint, inputs)

    def views(self, settings: Mapping[str, Any]) -> int:
        return LadaSettings.from_mapping(settings).views

    def mixture_components(self, settings: Mapping[str, Any]) -> int:
        return LadaSettings.from_mapping(settings).mixture_components

    def record(
        self,
        task: TaskFeatures,
        learnt: Learnt,
        mixtures: Sequence[Mixture],
        *,
        settings: Mapping[str, Any],
        seed: int,
    ) -> Record:
        if len(mixtures) != len(task.classes):
            raise SettingsError(
                f"task {task.task!r}: expected {len(task.classes)} mixtures, one per class, found "
                f"{len(mixtures)}"
            )
        return Record(
            task=task.task,
            classes=task.classes,
            method=self.name,
            settings=self.check_settings(settings),
            seed=seed,
            encoder=task.encoder,
            tensors={**learnt.tensors, **mixture_tensors(mixtures), **spread_tensors(task)},
        )

    def spread(self, record: Record) -> Spread:
        return record_spread(record)

    def kept(self, covariance: Tensor) -> Tensor:
        return Directions.of(covariance).covariance

    def scorer(self, state: AdapterState) -> Scorer:
        return LadaScorer.of(state.records, kept=self.memory)
