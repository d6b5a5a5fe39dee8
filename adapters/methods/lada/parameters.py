"""LADA's trainable parameters: memory rows, and the text side's parameters.

Shapes: C classes · D feature width · M memory vectors per class
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.randomness import generator
from adapters.errors import SettingsError
from adapters.methods.lada.settings import Autocast, LadaSettings
from adapters.towers.text_side import TextSide

PRODUCT_DTYPES: Mapping[Autocast, torch.dtype] = {
    "none": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


class TextParameters(ABC):
    """What is learnt on the text side, and the features it gives."""

    @abstractmethod
    def named(self) -> Mapping[str, torch.nn.Parameter]:
        """Return the parameters by name, in a fixed order."""

    @abstractmethod
    def features(self) -> Tensor:
        """Return the text features at the present parameters, (C, D), of any length."""


class FixedText(TextParameters):
    """Mode `none`: the text features stay what they are."""

    def __init__(self, features: Tensor) -> None:
        self._features = features

    def named(self) -> Mapping[str, torch.nn.Parameter]:
        return {}

    def features(self) -> Tensor:
        return self._features


class ResidualText(TextParameters):
    """Mode `residual`: a vector per class is added to its unit text feature."""

    def __init__(self, features: Tensor) -> None:
        self._base = normalize(features, dim=-1)
        self._residual = torch.nn.Parameter(torch.zeros_like(self._base))

    def named(self) -> Mapping[str, torch.nn.Parameter]:
        return {"residual": self._residual}

    def features(self) -> Tensor:
        return self._base + self._residual


class TunedText(TextParameters):
    """Mode `adaptformer`: the prompts run through the tower with a fresh tuner at every step."""

    def __init__(
        self,
        text: TextSide,
        *,
        bottleneck: int,
        seed: int,
        device: torch.device,
        autocast: Autocast,
    ) -> None:
        if text.tower is None or text.tokens is None:
            raise SettingsError(
                "text 'adaptformer': expected the text tower and the prompts' tokens, found none; "
                "give them, or use text 'residual'"
            )
        self._tower, self._tokens = text.tower, text.tokens.to(device)
        self._tuner = self._tower.fresh_tuner(
            bottleneck=bottleneck, generator=generator(seed, "tuner")
        ).to(device)
        self._autocast = autocast

    def named(self) -> Mapping[str, torch.nn.Parameter]:
        return self._tuner.named()

    def features(self) -> Tensor:
        with self._precision():
            return self._tower.features(self._tokens, self._tuner).float()

    def _precision(self) -> AbstractContextManager[object]:
        if self._autocast == "none":
            return nullcontext()
        return torch.autocast(self._tokens.device.type, dtype=PRODUCT_DTYPES[self._autocast])


def text_parameters(
    text: TextSide, settings: LadaSettings, *, seed: int, device: torch.device
) -> TextParameters:
    """Return the text side's parameters at the start of a task.

    Raises:
        SettingsError: `adaptformer` without a tower or tokens, or with a tower it does not fit.
    """
    if settings.text == "adaptformer":
        return TunedText(
            text,
            bottleneck=settings.bottleneck,
            seed=seed,
            device=device,
            autocast=settings.autocast,
        )
    features = text.features.detach().to(device, torch.float32)
    return ResidualText(features) if settings.text == "residual" else FixedText(features)
