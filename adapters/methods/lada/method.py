"""LADA as a method: its learner, its records and their scorer put together."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch

from adapters.contract.method import Learner, Learnt, Method, Scorer
from adapters.contract.mixture import Mixture
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.errors import SettingsError
from adapters.methods.lada.learner import LadaLearner
from adapters.methods.lada.record import mixture_tensors
from adapters.methods.lada.scorer import LadaScorer, scored_classes
from adapters.methods.lada.settings import LadaSettings
from adapters.towers.text_side import TextSide


class Lada(Method):
    """LADA with the published equations; see `LadaSettings` for its variants."""

    name: ClassVar[str] = "lada"

    def check_settings(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        return LadaSettings.from_mapping(settings).as_mapping()

    def start(
        self,
        task: TaskFeatures,
        past: Sequence[Record],
        *,
        text: TextSide,
        settings: Mapping[str, Any],
        seed: int,
        device: torch.device | str = "cpu",
    ) -> Learner:
        chosen = LadaSettings.from_mapping(settings)
        return LadaLearner(task, past, text=text, settings=chosen, seed=seed, device=device)

    def resume(
        self,
        checkpoint: bytes,
        task: TaskFeatures,
        past: Sequence[Record],
        *,
        text: TextSide,
        device: torch.device | str = "cpu",
    ) -> Learner:
        return LadaLearner.resumed(checkpoint, task, past, text=text, device=device)

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
            tensors={**learnt.tensors, **mixture_tensors(mixtures)},
        )

    def scorer(self, records: Sequence[Record]) -> Scorer:
        return LadaScorer(tuple(scored_classes(record) for record in records))
