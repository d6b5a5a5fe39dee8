"""Settings of the encoder; a module of its own, because reading settings must not load torch."""

from dataclasses import dataclass
from typing import Literal

TINY = "tiny"
TINY_VIT = "tiny-vit"

Activation = Literal["gelu", "quick_gelu"]
Precision = Literal["fp32", "fp16", "bf16"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderSettings:
    """Which open_clip model embeds the images.

    Attributes:
        model: `tiny` or `tiny-vit` (they ship with nacre), the name of an open_clip model, or a
            folder that holds `open_clip_config.json` and the weights.
        pretrained: For a model name: an open_clip tag, or a file of weights.
        activation: What the weights in a file were trained with; a file does not say it itself.
        precision: Of the towers' weights and activations. Features of different precisions never
            meet: a version is read under the one that it was learnt with.
    """

    model: str = TINY
    pretrained: str | None = None
    activation: Activation | None = None
    precision: Precision = "fp32"
