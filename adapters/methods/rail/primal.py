"""Primal-RAIL: ridge regression on random ReLU features, fused with zero-shot CLIP. For measuring.

    h = max(R f, 0);  W = (H^T H + ridge I)^-1 H^T Y = H^T (H H^T + ridge I)^-1 Y

The published recursion keeps the inverse of the first bracket, 15,000 x 15,000 numbers (900 MB).
The second form gives the same W from the images' features and is solved here; `arXiv 2406.18868`.

Shapes: N images · L random features
"""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import ClassVar

import torch
from torch import Tensor

from adapters.contract.adapter_state import AdapterState
from adapters.contract.method import Scorer
from adapters.contract.records import Record
from adapters.contract.settings import MethodSettings, require_number, require_whole
from adapters.contract.shared_settings import shared_settings
from adapters.methods.rail.fusion import Rail, RailScorer, check_rail, grown
from adapters.methods.rail.kernel_ridge import KernelRidge
from adapters.parts.random_features import random_features, uniform_projection
from adapters.parts.readout import Fusion

_MOST_IMAGES = 20_000
_SHARED = ("fusion", "share", "width", "projection_seed", "ridge")


@dataclass(frozen=True, kw_only=True, slots=True)
class PrimalRailSettings(MethodSettings):
    """Settings of Primal-RAIL, the published ones by default.

    Attributes:
        fusion: Whether zero-shot CLIP takes part.
        share: The regression's share of the score beside it.
        width: L.
        projection_seed: Names R.
        ridge: Strength of the regularisation.
    """

    fusion: Fusion = "text"
    share: float = 0.8
    width: int = 15_000
    projection_seed: int = 0
    ridge: float = 0.1

    def __post_init__(self) -> None:
        check_rail(fusion=self.fusion, share=self.share)
        require_whole("width", self.width, least=1)
        require_whole("projection_seed", self.projection_seed, least=0)
        require_number("ridge", self.ridge, least=1e-9)


class PrimalRail(Rail):
    """Ridge regression on random features."""

    name: ClassVar[str] = "primal_rail"
    tempered: ClassVar[bool] = True
    settings_type: ClassVar[type[MethodSettings]] = PrimalRailSettings
    shared: ClassVar[tuple[str, ...]] = _SHARED

    def scorer(self, state: AdapterState) -> Scorer:
        records = state.records
        settings = shared_settings(records, PrimalRailSettings, names=_SHARED)
        width = records[0].tensors["text_features"].shape[1]
        projection = uniform_projection(width, settings.width, settings.projection_seed)
        kernel = partial(_kernel, projection=projection)
        regression = KernelRidge.empty(kernel, ridge=settings.ridge, width=width)
        for position, record in enumerate(records):
            regression = grown(regression, record, records[:position], most_images=_MOST_IMAGES)
        return PrimalRailScorer(records, regression, projection)


class PrimalRailScorer(RailScorer):
    """Random features times their weights."""

    def __init__(
        self, records: tuple[Record, ...], regression: KernelRidge, projection: Tensor
    ) -> None:
        super().__init__(records, regression)
        self._projection = projection

    def extended(self, record: Record) -> "PrimalRailScorer":
        regression = grown(self._regression, record, self._records, most_images=_MOST_IMAGES)
        return PrimalRailScorer((*self._records, record), regression, self._projection)

    @cached_property
    def weights(self) -> Tensor:
        """W, (L, S) float32."""
        mapped = random_features(self._regression.images.float(), self._projection)
        return mapped.t() @ self._regression.coefficients.float()

    def regressed(self, features: Tensor) -> Tensor:
        return random_features(features, self._projection) @ self.weights


def _kernel(first: Tensor, second: Tensor, *, projection: Tensor) -> Tensor:
    """Return h(x) . h(y) for all pairs of rows, (n, m) float64.

    The products are float32: the ridge is far above their rounding, and they are the whole cost.
    """
    mapped = random_features(first.float(), projection)
    other = mapped if second is first else random_features(second.float(), projection)
    products: Tensor = (mapped @ other.t()).to(torch.float64)
    return products
