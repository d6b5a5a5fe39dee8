"""Two methods without training: zero-shot, and nearest class mean. They are baselines.

Tensors of a record: `text_features` (C, D) as given, and `means` (C, D), the class means, for the
nearest class mean.

Shapes: N images · D feature width · C classes of a record · S classes of all records asked for
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.errors import CorruptionError, SettingsError
from adapters.method import Learner, Learnt, Method, Scorer
from adapters.mixture import Mixture
from adapters.records import Record, pack, unpack
from adapters.settings import check_keys
from adapters.task_features import TaskFeatures, check_features, check_past
from adapters.text_side import TextSide


class Finished:
    """A learner with nothing to train."""

    total_steps = 0
    steps_done = 0

    def __init__(self, method: str, tensors: Mapping[str, Tensor]) -> None:
        self._method, self._tensors = method, tensors

    def step(self) -> float:
        """Raise SettingsError: there is no step to take."""
        raise SettingsError(f"method {self._method!r}: expected no step, asked for one")

    def checkpoint(self) -> bytes:
        """Return the method's name; there is nothing else to remember."""
        return pack({}, {"checkpoint": 1, "method": self._method})

    def learnt(self) -> Learnt:
        """Return the tensors."""
        return Learnt(tensors=self._tensors)


class TrainingFree(Method):
    """A method whose record is computed from the task alone. It has no settings."""

    def check_settings(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        check_keys(settings, [])
        return {}

    def start(
        self,
        task: TaskFeatures,
        past: Sequence[Record],
        *,
        text: TextSide,
        settings: Mapping[str, Any],
        seed: int,  # noqa: ARG002 - nothing is drawn
        device: torch.device | str = "cpu",  # noqa: ARG002 - nothing is trained
    ) -> Learner:
        self.check_settings(settings)
        check_past(task, past)
        width = past[0].tensors["text_features"].shape[1] if past else task.width
        check_features(task.features, dims=3, width=width)
        text.check(classes=len(task.classes), width=width)
        return Finished(self.name, self._tensors(task, text))

    def resume(
        self,
        checkpoint: bytes,
        task: TaskFeatures,
        past: Sequence[Record],
        *,
        text: TextSide,
        device: torch.device | str = "cpu",
    ) -> Learner:
        _, described = unpack(checkpoint)
        if described.get("method") != self.name:
            raise CorruptionError(f"checkpoint: expected method {self.name!r}, found {described}")
        return self.start(task, past, text=text, settings={}, seed=0, device=device)

    def mixture_components(self, settings: Mapping[str, Any]) -> int:
        self.check_settings(settings)
        return 0

    def record(
        self,
        task: TaskFeatures,
        learnt: Learnt,
        mixtures: Sequence[Mixture],  # noqa: ARG002 - none are wanted
        *,
        settings: Mapping[str, Any],
        seed: int,
    ) -> Record:
        return Record(
            task=task.task,
            classes=task.classes,
            method=self.name,
            settings=self.check_settings(settings),
            seed=seed,
            encoder=task.encoder,
            tensors=learnt.tensors,
        )

    def scorer(self, records: Sequence[Record]) -> Scorer:
        return CosineScorer(tuple(records))

    def _tensors(self, task: TaskFeatures, text: TextSide) -> Mapping[str, Tensor]:  # noqa: ARG002
        return {"text_features": text.features.detach().cpu().float().contiguous()}


class ZeroShot(TrainingFree):
    """CLIP's own text features, unchanged."""

    name: ClassVar[str] = "zero_shot"


class NearestMean(TrainingFree):
    """The class whose mean feature has the highest cosine with the image's."""

    name: ClassVar[str] = "nearest_mean"

    def _tensors(self, task: TaskFeatures, text: TextSide) -> Mapping[str, Tensor]:
        means = [task.of_class(index).mean(dim=0) for index in range(len(task.classes))]
        return {**super()._tensors(task, text), "means": torch.stack(means).cpu().float()}


class CosineScorer(Scorer):
    """Cosines with the records' means where they have some, their text logits elsewhere."""

    def __init__(self, records: tuple[Record, ...]) -> None:
        self._anchors = [normalize(record.tensors["text_features"], dim=-1) for record in records]
        self._means = [
            normalize(record.tensors["means"], dim=-1) if "means" in record.tensors else None
            for record in records
        ]
        self._records = records

    def extended(self, record: Record) -> "CosineScorer":
        return CosineScorer((*self._records, record))

    def anchors(self, position: int) -> Tensor:
        return self._anchors[position]

    def scores(
        self,
        features: Tensor,
        text_logits: Tensor,
        positions: Sequence[int],
        *,
        logit_scale: float,
    ) -> Tensor:
        scores, start = text_logits.clone(), 0
        for position in positions:
            means = self._means[position]
            end = start + len(self._anchors[position])
            if means is not None:
                scores[:, start:end] = logit_scale * (features @ means.t())
            start = end
        return scores
