"""Dual-RAIL: kernel ridge regression on all images, fused with zero-shot CLIP (arXiv 2406.18868).

    a(f) = k(f, X) (K + ridge I)^-1 Y,   k(x, y) = exp(-gamma |x - y|^2)

Records and fusion are those of `adapters.methods.rail.fusion`.

Shapes: N images
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from adapters.contract.adapter_state import AdapterState
from adapters.contract.method import Scorer
from adapters.contract.records import Record
from adapters.contract.settings import MethodSettings, require_number, require_whole
from adapters.contract.shared_settings import shared_settings
from adapters.contract.task_features import Spread
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import CorruptionError
from adapters.methods.rail.fusion import Rail, RailScorer, check_rail, check_size, grown
from adapters.methods.rail.kernel_ridge import KernelRidge, rbf
from adapters.parts.readout import Fusion
from adapters.parts.spreads import spread_of

_SHARED = ("fusion", "share", "gamma", "ridge")


@dataclass(frozen=True, kw_only=True, slots=True)
class DualRailSettings(MethodSettings):
    """Settings of Dual-RAIL, the published ones by default.

    Attributes:
        fusion: Whether zero-shot CLIP takes part.
        share: The regression's share of the score beside it.
        gamma: Sharpness of the kernel.
        ridge: Strength of the regularisation.
        most_images: Of all tasks together; the kernel matrix grows with their square.
    """

    fusion: Fusion = "text"
    share: float = 0.8
    gamma: float = 0.1
    ridge: float = 1e-3
    most_images: int = 20_000

    def __post_init__(self) -> None:
        check_rail(fusion=self.fusion, share=self.share)
        require_number("gamma", self.gamma)
        require_number("ridge", self.ridge, least=1e-9)
        require_whole("most_images", self.most_images, least=1)


class DualRail(Rail):
    """Kernel ridge regression on all images."""

    name: ClassVar[str] = "dual_rail"
    tempered: ClassVar[bool] = True
    rejects: ClassVar[bool] = True
    settings_type: ClassVar[type[MethodSettings]] = DualRailSettings
    shared: ClassVar[tuple[str, ...]] = _SHARED

    def check(self, inputs: TrainingInputs) -> None:
        super().check(inputs)
        past = inputs.past.records
        images = len(inputs.task.labels) + sum(len(record.tensors["images"]) for record in past)
        check_size(images, most=inputs.settings["most_images"])

    def spread(self, record: Record) -> Spread:
        try:
            images, counts = record.tensors["images"], record.tensors["image_counts"]
        except KeyError as error:
            raise CorruptionError(f"record {record.task!r}: tensor missing: {error}") from error
        return spread_of(images, torch.repeat_interleave(counts), classes=len(counts))

    def scorer(self, state: AdapterState) -> Scorer:
        records = state.records
        settings = shared_settings(records, DualRailSettings, names=_SHARED)
        kernel = partial(rbf, gamma=settings.gamma)
        width = records[0].tensors["text_features"].shape[1]
        regression = KernelRidge.empty(kernel, ridge=settings.ridge, width=width)
        for position, record in enumerate(records):
            most = DualRailSettings.from_mapping(record.settings).most_images
            regression = grown(regression, record, records[:position], most_images=most)
        return DualRailScorer(records, regression)


class DualRailScorer(RailScorer):
    """The kernel between an image and all images learnt, times their coefficients."""

    def extended(self, record: Record) -> "DualRailScorer":
        shared_settings([*self._records, record], DualRailSettings, names=_SHARED)
        most = DualRailSettings.from_mapping(record.settings).most_images
        regression = grown(self._regression, record, self._records, most_images=most)
        return DualRailScorer((*self._records, record), regression)

    def regressed(self, features: Tensor) -> Tensor:
        regression = self._regression
        return (
            regression.kernel(features.double(), regression.images) @ regression.coefficients
        ).float()
