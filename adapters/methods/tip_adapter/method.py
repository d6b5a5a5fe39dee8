"""Tip-Adapter: the training images as a cache of keys beside the text logits (arXiv 2207.09519).

    score of class c = scale * f . t_c + alpha * sum over its keys of exp(-beta (1 - f . key))

The published script picks alpha and beta on the test images. Here every task adds what each pair
costs on a quarter of its training images, and an adapter takes the pair with the least sum. A class
with more images than keys keeps their k-means centres.

Tensors of a record: `text_features` (C, D), `keys` (sum of keys, D), rows grouped by class,
`key_offsets` (C + 1,) int64, `costs` (G,).

Shapes: N images · D feature width · C classes of a record · G pairs of alpha and beta
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.adapter_state import AdapterState
from adapters.contract.method import Query, Scorer
from adapters.contract.records import Record
from adapters.contract.settings import MethodSettings, require_choice, require_number, require_whole
from adapters.contract.shared_settings import check_shared
from adapters.contract.training_inputs import TrainingInputs
from adapters.methods.lada.memory import MemoryBlock, initial_memory
from adapters.parts.readout import Fusion
from adapters.parts.scorers import AnchoredScorer
from adapters.parts.training_free import TrainingFree
from adapters.parts.validation import errors, least_cost, validation_parts


class Weights(NamedTuple):
    """Factor and sharpness of the cache."""

    alpha: float
    beta: float


PAIRS = tuple(
    Weights(alpha, beta)
    for beta in (1.0, 2.0, 4.0, 8.0, 16.0)
    for alpha in (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
)
_USUAL = Weights(1.0, 1.0)
_SHARED = ("fusion", "alpha", "beta")


@dataclass(frozen=True, kw_only=True, slots=True)
class TipAdapterSettings(MethodSettings):
    """Settings of Tip-Adapter.

    Attributes:
        keys_per_class: The most keys that a class keeps.
        fusion: Whether the text logits take part.
        alpha: Factor of the cache; None, with beta None too, has both chosen on validation images.
        beta: Its sharpness.
    """

    keys_per_class: int = 16
    fusion: Fusion = "text"
    alpha: float | None = None
    beta: float | None = None

    def __post_init__(self) -> None:
        require_whole("keys_per_class", self.keys_per_class, least=1)
        require_choice("fusion", self.fusion, get_args(Fusion))
        for name in ("alpha", "beta"):
            if getattr(self, "beta" if name == "alpha" else "alpha") is not None:
                require_number(name, getattr(self, name))


class TipAdapter(TrainingFree):
    """The cache as it is."""

    name: ClassVar[str] = "tip_adapter"
    tempered: ClassVar[bool] = True
    settings_type: ClassVar[type[MethodSettings]] = TipAdapterSettings
    shared: ClassVar[tuple[str, ...]] = _SHARED

    def tensors(self, inputs: TrainingInputs) -> Mapping[str, Tensor]:
        return cache_tensors(inputs, TipAdapterSettings.from_mapping(inputs.settings))

    def scorer(self, state: AdapterState) -> Scorer:
        return CacheScorer(state.records)


class CacheScorer(AnchoredScorer):
    """Text logits plus alpha times the cache; one alpha and beta for all records.

    Args:
        records: Oldest first.
        before: A scorer of all records but the last, whose caches are used again where beta stays.
    """

    def __init__(self, records: tuple[Record, ...], *, before: "CacheScorer | None" = None) -> None:
        super().__init__(records)
        self._weights = joint_weights(records)
        self._fusion: Fusion = records[0].settings["fusion"]
        same = before is not None and before._weights.beta == self._weights.beta
        self._caches: list[MemoryBlock] = list(before._caches) if before and same else []
        for record in records[len(self._caches) :]:
            keys, offsets = record.tensors["keys"], record.tensors["key_offsets"]
            self._caches.append(MemoryBlock.of(keys, offsets, beta=self._weights.beta))

    def extended(self, record: Record) -> "CacheScorer":
        return CacheScorer((*self._records, record), before=self)

    def scores(self, query: Query) -> Tensor:
        columns = [self._caches[position].logits(query.features) for position in query.positions]
        own = self._weights.alpha * torch.cat([query.text_logits[:, :0], *columns], dim=1)
        return own if self._fusion == "alone" else query.text_logits + own


def cache_tensors(inputs: TrainingInputs, settings: TipAdapterSettings) -> dict[str, Tensor]:
    """Return keys, their offsets, and what every pair of alpha and beta costs."""
    keys, offsets = initial_memory(inputs.task, vectors=settings.keys_per_class, seed=inputs.seed)
    costs = _costs(inputs, settings)
    return {"keys": keys, "key_offsets": offsets, "costs": costs}


def joint_weights(records: Sequence[Record]) -> Weights:
    """Return the pair for all records: as set, or that whose costs over all of them are least."""
    settings = records[0].settings
    check_shared([record.settings for record in records], names=_SHARED)
    costs = [record.tensors["costs"] for record in records]
    return chosen_weights(costs, alpha=settings["alpha"], beta=settings["beta"])


def chosen_weights(
    costs: Sequence[Tensor], *, alpha: float | None = None, beta: float | None = None
) -> Weights:
    """Return alpha and beta: as set, or the pair whose `costs`, summed over records, are least."""
    if alpha is not None and beta is not None:
        return Weights(alpha, beta)
    total = costs[0].double()
    for each in costs[1:]:
        total = total + each.double()
    return least_cost(total, PAIRS, default=_USUAL)


def _costs(inputs: TrainingInputs, settings: TipAdapterSettings) -> Tensor:
    task, text, seed = inputs.task, inputs.text, inputs.seed
    kept, features, labels, *_ = validation_parts(task, seed=seed)
    keys, offsets = initial_memory(kept, vectors=settings.keys_per_class, seed=seed)
    features, base = features.cpu().float(), torch.zeros(len(labels), len(task.classes))
    if settings.fusion == "text":
        base = text.logit_scale * features @ normalize(text.features, dim=-1).cpu().t()
    costs = []
    for pair in PAIRS:
        own = MemoryBlock.of(keys, offsets, beta=pair.beta).logits(features)
        costs.append(errors(base + pair.alpha * own, labels.cpu()))
    return torch.stack(costs).float()
