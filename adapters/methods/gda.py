"""GDA: a Gaussian discriminant with one covariance for all classes (arXiv 2402.04087).

    S = sum over images of (f - mean of its class)(f - mean of its class)^T
    P = N (S + tr(S) / (N - 1) I)^-1
    score of class c = scale * f . t_c + alpha (f . P m_c - 1/2 m_c P m_c)

The source multiplies by D where this has N; alpha absorbs the difference, and with N one alpha fits
however many tasks are added up. It picks alpha on validation images; here every task adds what each
alpha costs on a quarter of its training images. The scatters of tasks add up, so that learning task
by task equals learning all tasks at once.

Tensors of a record: `text_features` (C, D), `means` (C, D), `scatter` (D (D + 1) / 2,), the upper
triangle of S, `image_counts` (C,) int64, `costs` (G,).

Shapes: N images · D feature width · C classes of a record · G values of alpha
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.adapter_state import AdapterState
from adapters.contract.method import Query, Scorer
from adapters.contract.records import Record
from adapters.contract.settings import MethodSettings, require_choice, require_number
from adapters.contract.shared_settings import shared_settings
from adapters.contract.task_features import Spread
from adapters.contract.training_inputs import TrainingInputs
from adapters.parts.readout import Fusion, Readout, class_counts
from adapters.parts.scorers import AnchoredScorer
from adapters.parts.spreads import scattered
from adapters.parts.statistics import (
    VARIANCE_WITHOUT_SCATTER,
    Statistic,
    class_means,
    image_counts,
    total,
    within_scatter,
)
from adapters.parts.symmetric import packed
from adapters.parts.training_free import TrainingFree
from adapters.parts.validation import errors, least_cost, validation_parts

ALPHAS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
_USUAL_ALPHA = 1.0
_SHARED = ("fusion", "alpha")


@dataclass(frozen=True, kw_only=True, slots=True)
class GdaSettings(MethodSettings):
    """Settings of GDA.

    Attributes:
        fusion: Whether the text logits take part.
        alpha: Factor of the discriminant beside them; None has it chosen on validation images.
    """

    fusion: Fusion = "text"
    alpha: float | None = None

    def __post_init__(self) -> None:
        require_choice("fusion", self.fusion, get_args(Fusion))
        if self.alpha is not None:
            require_number("alpha", self.alpha)


class Discriminant(NamedTuple):
    """A linear classifier: weights (C, D) and biases (C,), float64."""

    weights: Tensor
    biases: Tensor


class Gda(TrainingFree):
    """A Gaussian discriminant beside the text logits."""

    name: ClassVar[str] = "gda"
    tempered: ClassVar[bool] = True
    rejects: ClassVar[bool] = True
    settings_type: ClassVar[type[MethodSettings]] = GdaSettings
    shared: ClassVar[tuple[str, ...]] = _SHARED

    def tensors(self, inputs: TrainingInputs) -> Mapping[str, Tensor]:
        task = inputs.task
        chosen = GdaSettings.from_mapping(inputs.settings)
        return {
            "means": class_means(task),
            "scatter": packed(within_scatter(task)),
            "image_counts": image_counts(task.labels, len(task.classes)),
            "costs": _costs(inputs, fusion=chosen.fusion),
        }

    def spread(self, record: Record) -> Spread:
        return scattered(record)

    def scorer(self, state: AdapterState) -> Scorer:
        return GdaScorer(state.records)


class GdaScorer(AnchoredScorer):
    """The discriminant of all records together.

    Args:
        records: Oldest first.
        before: The statistic of all records but the last, where it is known.
    """

    def __init__(self, records: tuple[Record, ...], *, before: Statistic | None = None) -> None:
        settings = shared_settings(records, GdaSettings, names=_SHARED)
        super().__init__(records)
        self._statistic = statistic = total(records, "scatter", before=before)
        self._fusion = settings.fusion
        found = least_cost(statistic.costs, ALPHAS, default=_USUAL_ALPHA)
        self._alpha = found if settings.alpha is None else settings.alpha
        means = torch.cat([record.tensors["means"] for record in records])
        solved = discriminant(means, statistic.matrix, images=statistic.images)
        self._readout = Readout.of(*solved, sizes=class_counts(records))

    def extended(self, record: Record) -> "GdaScorer":
        return GdaScorer((*self._records, record), before=self._statistic)

    def scores(self, query: Query) -> Tensor:
        own = self._readout.scores(query.features, query.positions)
        return own if self._fusion == "alone" else query.text_logits + self._alpha * own


def discriminant(means: Tensor, scatter: Tensor, *, images: int) -> Discriminant:
    """Return P m_c and -1/2 m_c P m_c for every class.

    Args:
        means: (C, D).
        scatter: (D, D) float64, S.
        images: N.
    """
    trace = float(scatter.trace())
    ridge = trace / max(images - 1, 1) if trace > 0 else VARIANCE_WITHOUT_SCATTER * images
    shrunk = scatter + ridge * torch.eye(len(scatter), dtype=scatter.dtype)
    means = means.double()
    weights = images * torch.cholesky_solve(means.t(), torch.linalg.cholesky(shrunk)).t()
    return Discriminant(weights, -(weights * means).sum(dim=1) / 2)


def _costs(inputs: TrainingInputs, *, fusion: Fusion) -> Tensor:
    kept, features, labels, *_ = validation_parts(inputs.task, seed=inputs.seed)
    text = inputs.text
    found = discriminant(class_means(kept), within_scatter(kept), images=len(kept.labels))
    own = features.double() @ found.weights.t() + found.biases
    base = torch.zeros_like(own)
    if fusion == "text":
        base = text.logit_scale * features.double() @ normalize(text.features, dim=-1).double().t()
    return torch.stack([errors(base + alpha * own, labels) for alpha in ALPHAS]).float()
