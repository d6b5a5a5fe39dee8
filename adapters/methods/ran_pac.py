"""RanPAC: ridge regression on random ReLU features (arXiv 2307.02251), without its first session.

    h = max(R f, 0);  G = sum of h h^T;  Q_c = sum of h over the images of class c
    score of class c = log of h . (G + ridge I)^-1 Q_c, as in `adapters.parts.probabilities`

G and Q add up over tasks, so that learning task by task equals learning all tasks at once. The
source picks the ridge by the squared error on a fifth of the newest task's images; here every task
adds the squared errors of a quarter of its images, and an adapter takes the ridge with the least
sum. The source is 10,000 wide; here the triangle of G has to fit in 64 MB.

Tensors of a record: `text_features` (C, D), `class_sums` (C, L), `gram` (L (L + 1) / 2,), the upper
triangle of G, `image_counts` (C,) int64, `costs` (G,).

Shapes: N images · D feature width · L random features · C classes of a record · G ridges tried
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from adapters.contract.adapter_state import AdapterState
from adapters.contract.method import Query, Scorer
from adapters.contract.records import Record
from adapters.contract.settings import MethodSettings, require_number, require_whole
from adapters.contract.shared_settings import shared_settings
from adapters.contract.task_features import TaskFeatures
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import SettingsError
from adapters.parts.probabilities import log_probabilities_at
from adapters.parts.random_features import gaussian_projection, random_features
from adapters.parts.readout import Readout, class_counts
from adapters.parts.scorers import AnchoredScorer
from adapters.parts.statistics import Statistic, image_counts, total
from adapters.parts.symmetric import packed, packed_size
from adapters.parts.training_free import TrainingFree
from adapters.parts.validation import least_cost, validation_parts

# A smaller ridge is lost in the rounding of a float32 Gram matrix.
RIDGES = tuple(10.0**power for power in range(-1, 9))
_USUAL_RIDGE = 1e3
_SHARED = ("width", "projection_seed", "ridge")
_MOST_BYTES = 64 * 10**6
_BYTES_PER_NUMBER = 4
_SUMMED_AT_ONCE = 1024
_MOST_TRIED = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class RanPacSettings(MethodSettings):
    """Settings of RanPAC.

    Attributes:
        width: L.
        projection_seed: Names R.
        ridge: None has it chosen on validation images.
    """

    width: int = 5000
    projection_seed: int = 0
    ridge: float | None = None

    def __post_init__(self) -> None:
        require_whole("width", self.width, least=1)
        require_whole("projection_seed", self.projection_seed, least=0)
        if self.ridge is not None:
            require_number("ridge", self.ridge, least=RIDGES[0])
        size = _BYTES_PER_NUMBER * packed_size(self.width)
        if size > _MOST_BYTES:
            raise SettingsError(
                f"setting 'width': expected a statistic of at most {_MOST_BYTES:,} bytes, found "
                f"{size:,} at width {self.width}; 5,656 is the widest",
                setting="width",
            )


class RanPac(TrainingFree):
    """Ridge regression on random features; the text side only tells unseen classes apart."""

    name: ClassVar[str] = "ran_pac"
    tempered: ClassVar[bool] = True
    settings_type: ClassVar[type[MethodSettings]] = RanPacSettings
    shared: ClassVar[tuple[str, ...]] = _SHARED

    def tensors(self, inputs: TrainingInputs) -> Mapping[str, Tensor]:
        task = inputs.task
        chosen = RanPacSettings.from_mapping(inputs.settings)
        projection = gaussian_projection(task.width, chosen.width, chosen.projection_seed)
        class_sums, gram = sums(task, projection)
        return {
            "class_sums": class_sums,
            "gram": packed(gram),
            "image_counts": image_counts(task.labels, len(task.classes)),
            "costs": _costs(task, projection, seed=inputs.seed),
        }

    def scorer(self, state: AdapterState) -> Scorer:
        return RanPacScorer(state.records)


class RanPacScorer(AnchoredScorer):
    """The ridge solution of all records together.

    Args:
        records: Oldest first.
        before: The statistic of all records but the last, where it is known.
    """

    def __init__(self, records: tuple[Record, ...], *, before: Statistic | None = None) -> None:
        settings = shared_settings(records, RanPacSettings, names=_SHARED)
        super().__init__(records)
        self._statistic = statistic = total(records, "gram", before=before)
        self._projection = gaussian_projection(
            self._anchors[0].shape[1], settings.width, settings.projection_seed
        )
        found = least_cost(statistic.costs, RIDGES, default=_USUAL_RIDGE)
        ridge = found if settings.ridge is None else settings.ridge
        class_sums = torch.cat([record.tensors["class_sums"] for record in records])
        weights = ridge_solution(class_sums, statistic.matrix, ridge=ridge)
        biases = torch.zeros(len(weights))
        self._readout = Readout.of(weights, biases, sizes=class_counts(records))

    def extended(self, record: Record) -> "RanPacScorer":
        return RanPacScorer((*self._records, record), before=self._statistic)

    def scores(self, query: Query) -> Tensor:
        mapped = random_features(query.features, self._projection)
        answers = self._readout.scores(mapped, range(len(self._records)))
        return log_probabilities_at(answers, self._records, query.positions)


def sums(task: TaskFeatures, projection: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a task adds: its class sums (C, L) float32, and its Gram matrix (L, L) float64.

    Args:
        task: The task.
        projection: (L, D).
    """
    width = len(projection)
    class_sums = torch.zeros(len(task.classes), width, dtype=torch.float64)
    gram = torch.zeros(width, width, dtype=torch.float64)
    images = torch.split(task.features[:, 0].cpu().float(), _SUMMED_AT_ONCE)
    portions = torch.split(task.labels.cpu(), _SUMMED_AT_ONCE)
    for part, labels in zip(images, portions, strict=True):
        mapped = random_features(part, projection)
        class_sums.index_add_(0, labels, mapped.double())
        gram += mapped.t() @ mapped
    return class_sums.float(), gram


def ridge_solution(class_sums: Tensor, gram: Tensor, *, ridge: float) -> Tensor:
    """Return (G + ridge I)^-1 Q_c for every class, (C, L) float64."""
    shifted = gram.clone()
    shifted.diagonal().add_(ridge)
    return torch.cholesky_solve(class_sums.double().t(), torch.linalg.cholesky(shifted)).t()


def _costs(task: TaskFeatures, projection: Tensor, *, seed: int) -> Tensor:
    """Return the squared error of every ridge on validation images, (G,).

    Solved over images instead of features, where it is H^T (H H^T + ridge I)^-1 Y.
    """
    kept, features, labels, *_ = validation_parts(task, seed=seed, most=_MOST_TRIED)
    learnt = random_features(kept.features[:, 0].cpu().float(), projection).double()
    tried = random_features(features.cpu().float(), projection).double()
    values, vectors = torch.linalg.eigh(learnt @ learnt.t())
    targets = vectors.t() @ one_hot(kept.labels.cpu(), len(task.classes)).double()
    read = (tried @ learnt.t()) @ vectors
    truth = one_hot(labels.cpu(), len(task.classes)).double()
    errors = [
        (read @ (targets / (values.clamp(min=0) + ridge)[:, None]) - truth).square().sum()
        for ridge in RIDGES
    ]
    return torch.stack(errors).float()
