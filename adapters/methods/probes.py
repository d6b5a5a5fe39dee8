"""Linear probes: one softmax regression over all classes so far. For measuring.

    logit of class c = scale * f . w_c

Three of them: `probe` goes on from the last weights with the new task's images alone, and shows
forgetting; `probe_replay` goes on with a few images of every old class beside them; `joint` starts
afresh with all images of all tasks, and is the upper bound of its kind. New rows start at zero, and
every class weighs the same in the loss. A record holds the weights of all classes so far, and the
images that later tasks see.

Tensors of a record: `text_features` (C, D), `weights` (S, D), `images` (n, D), `image_labels` (n,)
int64, index into the record's classes.

Shapes: D feature width · C classes of the task · S classes of all tasks so far · n images kept
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from adapters.contract.adapter_state import AdapterState
from adapters.contract.merging import Partners
from adapters.contract.method import Query, Scorer
from adapters.contract.records import Record
from adapters.contract.settings import MethodSettings, require_number, require_whole
from adapters.contract.task_features import TaskFeatures
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import SettingsError
from adapters.parts.batches import epoch_batch
from adapters.parts.optimiser import ScheduledAdamW
from adapters.parts.schedule import one_cycle, training_steps
from adapters.parts.scorers import AnchoredScorer
from adapters.parts.trained import Descent, Trained, Training

_EXEMPLARS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeSettings(MethodSettings):
    """Settings of the probes: LADA's training, where they have the same names."""

    learning_rate: float = 1e-3
    weight_decay: float = 5e-4
    batch_size: int = 64
    epochs: int | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        require_number("learning_rate", self.learning_rate)
        require_number("weight_decay", self.weight_decay)
        require_whole("batch_size", self.batch_size, least=1)
        require_whole("epochs", self.epochs, least=1, optional=True)
        require_whole("steps", self.steps, least=0, optional=True)
        if self.steps is not None and self.epochs is not None:
            raise SettingsError("expected one of 'steps' and 'epochs', found both; leave one out")

    def total_steps(self, *, classes: int, images: int) -> int:
        """Return how many steps are taken on that many images of that many classes."""
        batches = -(-images // self.batch_size)
        return training_steps(
            steps=self.steps, epochs=self.epochs, classes=classes, batches=batches
        )


class Probe(Trained):
    """Goes on from the last weights with the new task's images alone."""

    name: ClassVar[str] = "probe"
    settings_type: ClassVar[type[MethodSettings]] = ProbeSettings
    kept_per_class: ClassVar[int | None] = 0
    starts_afresh: ClassVar[bool] = False

    def training(self, inputs: TrainingInputs) -> Training:
        task, past, text = inputs.task, inputs.past.records, inputs.text
        chosen = ProbeSettings.from_mapping(inputs.settings)
        classes = [entry for record in past for entry in record.classes] + list(task.classes)
        start = torch.zeros(len(classes), task.width)
        if past and not self.starts_afresh:
            known = past[-1].tensors["weights"]
            start[: len(known)] = known
        kept = _first_of_each_class(task, self.kept_per_class)
        fixed = {
            "text_features": text.kept(),
            "images": task.features[kept, 0].cpu().float().contiguous(),
            "image_labels": task.labels[kept].cpu(),
        }
        return ProbeTraining(
            start,
            *_images(task, past),
            partners=Partners.of(classes, device=torch.device("cpu")),
            fixed=fixed,
            scale=text.logit_scale,
            settings=chosen,
            seed=inputs.seed,
        )

    def scorer(self, state: AdapterState) -> Scorer:
        return LastWeightsScorer(state.records)


class ProbeWithReplay(Probe):
    """Goes on from the last weights with a few images of every old class beside the new ones."""

    name: ClassVar[str] = "probe_replay"
    kept_per_class: ClassVar[int | None] = _EXEMPLARS


class Joint(Probe):
    """Starts afresh with all images of all tasks."""

    name: ClassVar[str] = "joint"
    kept_per_class: ClassVar[int | None] = None
    starts_afresh: ClassVar[bool] = True


class ProbeTraining(Descent):
    """The weights of all classes so far, being trained."""

    def __init__(
        self,
        start: Tensor,
        features: Tensor,
        labels: Tensor,
        *,
        partners: Partners | None,
        fixed: Mapping[str, Tensor],
        scale: float,
        settings: ProbeSettings,
        seed: int,
    ) -> None:
        self._weights = torch.nn.Parameter(start.clone())
        self._features, self._labels, self._fixed = features, labels, fixed
        self._partners = partners
        self._scale, self._size, self._seed = scale, settings.batch_size, seed
        counts = torch.bincount(labels, minlength=len(start))
        self._class_weights = 1.0 / counts.clamp(min=1)
        present = int((counts > 0).sum())
        self.total_steps = settings.total_steps(classes=present, images=len(labels))
        self.optimiser = ScheduledAdamW(
            {"weights": self._weights},
            rate=partial(one_cycle, total_steps=self.total_steps, peak=settings.learning_rate),
            weight_decay=settings.weight_decay,
        )

    def loss(self, step: int) -> Tensor:
        """Return the mean cross-entropy of the step's images over all classes so far.

        Classes that an image's own is merged with are left out.
        """
        chosen = epoch_batch(step, images=len(self._labels), size=self._size, seed=self._seed)
        logits, labels = (
            self._scale * self._features[chosen] @ self._weights.t(),
            self._labels[chosen],
        )
        if self._partners is not None:
            self._partners.hide(logits, labels)
        return cross_entropy(logits, labels, weight=self._class_weights)

    def tensors(self) -> Mapping[str, Tensor]:
        """Return the record's tensors with the weights as they are now."""
        return {**self._fixed, "weights": self._weights.detach().clone()}


class LastWeightsScorer(AnchoredScorer):
    """The weights of the last record, which has those of all classes."""

    def __init__(self, records: tuple[Record, ...]) -> None:
        super().__init__(records)
        sizes = [len(record.classes) for record in records]
        self._weights = torch.split(records[-1].tensors["weights"], sizes)

    def extended(self, record: Record) -> "LastWeightsScorer":
        return LastWeightsScorer((*self._records, record))

    def scores(self, query: Query) -> Tensor:
        columns = [
            query.logit_scale * query.features @ self._weights[place].t()
            for place in query.positions
        ]
        return torch.cat([query.text_logits[:, :0], *columns], dim=1)


def _images(task: TaskFeatures, past: Sequence[Record]) -> tuple[Tensor, Tensor]:
    """Return the kept images of `past` and then the task's, (n, D), and their columns, (n,)."""
    features, labels, known = [], [], 0
    for record in past:
        features.append(record.tensors["images"])
        labels.append(record.tensors["image_labels"] + known)
        known += len(record.classes)
    features.append(task.features[:, 0].cpu().float())
    labels.append(task.labels.cpu() + known)
    return torch.cat(features), torch.cat(labels)


def _first_of_each_class(task: TaskFeatures, most: int | None) -> Tensor:
    """Return the indices of at most `most` images of every class, all of them for None."""
    own = [(task.labels == index).nonzero()[:most, 0] for index in range(len(task.classes))]
    return torch.cat(own)
