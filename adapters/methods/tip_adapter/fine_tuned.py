"""Tip-Adapter-F: Tip-Adapter whose keys are trained, task by task (arXiv 2207.09519).

The keys start as the images' features and are trained by cross-entropy over the task's own classes,
as published: AdamW at 1e-3 with epsilon 1e-4, 20 passes, down a cosine. They are trained with the
alpha and beta that cost least up to their task, measured on untrained caches; scores use one pair
for all records, because the scores of tasks with different pairs cannot be compared.

Tensors of a record: those of `adapters.methods.tip_adapter.method`.

Shapes: N images · D feature width · C classes of the task · K keys of all its classes
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from adapters.contract.adapter_state import AdapterState
from adapters.contract.method import Scorer
from adapters.contract.settings import MethodSettings, require_number, require_whole
from adapters.contract.training_inputs import TrainingInputs
from adapters.methods.tip_adapter.method import (
    CacheScorer,
    TipAdapterSettings,
    cache_tensors,
    chosen_weights,
)
from adapters.parts.batches import epoch_batch
from adapters.parts.optimiser import ScheduledAdamW
from adapters.parts.schedule import cosine
from adapters.parts.trained import Descent, Trained, Training

_EPSILON = 1e-4


@dataclass(frozen=True, kw_only=True, slots=True)
class TipAdapterFSettings(TipAdapterSettings):
    """Settings of Tip-Adapter-F.

    Attributes:
        learning_rate: Of the first step.
        weight_decay: AdamW's decoupled decay.
        batch_size: Images per step.
        epochs: Passes over the images.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    batch_size: int = 256
    epochs: int = 20

    def __post_init__(self) -> None:
        TipAdapterSettings.__post_init__(self)  # slots leave super() without its class
        require_number("learning_rate", self.learning_rate)
        require_number("weight_decay", self.weight_decay)
        require_whole("batch_size", self.batch_size, least=1)
        require_whole("epochs", self.epochs, least=0)


class TipAdapterF(Trained):
    """The cache, trained."""

    name: ClassVar[str] = "tip_adapter_f"
    tempered: ClassVar[bool] = True
    settings_type: ClassVar[type[MethodSettings]] = TipAdapterFSettings
    shared: ClassVar[tuple[str, ...]] = ("fusion", "alpha", "beta")

    def training(self, inputs: TrainingInputs) -> Training:
        chosen = TipAdapterFSettings.from_mapping(inputs.settings)
        before = [record.tensors["costs"] for record in inputs.past.records]
        return CacheTraining(inputs, before=before, settings=chosen)

    def scorer(self, state: AdapterState) -> Scorer:
        return CacheScorer(state.records)


class CacheTraining(Descent):
    """The keys of one task, being trained.

    Args:
        inputs: What the task is learnt from.
        before: The costs of the tasks learnt before.
        settings: Settings.
    """

    def __init__(
        self,
        inputs: TrainingInputs,
        *,
        before: Sequence[Tensor],
        settings: TipAdapterFSettings,
    ) -> None:
        task, text = inputs.task, inputs.text
        start = cache_tensors(inputs, settings)
        self._fixed = {"text_features": text.kept(), **start}
        self._keys = torch.nn.Parameter(start["keys"].clone())
        self._weights = chosen_weights(
            [*before, start["costs"]], alpha=settings.alpha, beta=settings.beta
        )
        self._key_classes = torch.repeat_interleave(start["key_offsets"].diff())
        self._features, self._labels = task.features[:, 0].cpu().float(), task.labels.cpu()
        self._base = torch.zeros(len(self._labels), len(task.classes))
        if settings.fusion == "text":
            anchors = normalize(text.features.detach(), dim=-1).cpu()
            self._base = text.logit_scale * self._features @ anchors.t()
        self._size, self._seed = settings.batch_size, inputs.seed
        self.total_steps = settings.epochs * -(-len(self._labels) // settings.batch_size)
        self.optimiser = ScheduledAdamW(
            {"keys": self._keys},
            rate=partial(cosine, total_steps=self.total_steps, peak=settings.learning_rate),
            weight_decay=settings.weight_decay,
            epsilon=_EPSILON,
        )

    def loss(self, step: int) -> Tensor:
        """Return the mean cross-entropy of the step's images over the task's classes."""
        chosen = epoch_batch(step, images=len(self._labels), size=self._size, seed=self._seed)
        alpha, beta = self._weights
        affinities = (beta * (self._features[chosen] @ self._keys.t() - 1)).exp()
        own = torch.zeros_like(self._base[chosen]).index_add(1, self._key_classes, affinities)
        return cross_entropy(self._base[chosen] + alpha * own, self._labels[chosen])

    def tensors(self) -> Mapping[str, Tensor]:
        """Return the record's tensors with the keys as they are now."""
        return {**self._fixed, "keys": self._keys.detach().clone()}
