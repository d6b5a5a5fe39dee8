"""Sizes of encoders, from open_clip's own configurations: `make bench-encoders`.

Nothing is downloaded and no memory is taken: models are built without weights. Bytes are those of
all parameters in single and in half precision (`precision: fp16` or `bf16`).
"""

import sys
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmarks.table import Row, grid, judged
from workers.encoding.encoder_settings import TINY, TINY_VIT, EncoderSettings
from workers.images.torchvision_ops import ensure_torchvision_imports

NAMES = (
    *("RN50", "ViT-B-32", "ViT-B-16", "ViT-L-14", "ViT-H-14", "MobileCLIP2-S0"),
    *("ViT-B-16-SigLIP", "ViT-B-16-SigLIP2", "ViT-L-16-SigLIP2-256", "ViT-SO400M-14-SigLIP2"),
)
MEGA = 10**6


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """How large an encoder is.

    Attributes:
        name: The model.
        parameters: Of both towers.
        image: Of the image tower.
        width: D, the feature width.
        side: Of the pictures that it reads, in pixels.
    """

    name: str
    parameters: int
    image: int
    width: int
    side: int


def size_of(name: str) -> Size:
    """Return the size of an open_clip model."""
    ensure_torchvision_imports()
    import open_clip
    from open_clip.model import CLIP, CustomTextCLIP

    config: dict[str, Any] = open_clip.get_model_config(name)
    kind = CustomTextCLIP if config.pop("custom_text", False) else CLIP
    with torch.device("meta"):
        model: Any = kind(**config)
    return _size(name, model, config["embed_dim"])


def shipped() -> list[Size]:
    """Return the sizes of the encoders that come with nacre."""
    from workers.encoding.encoder import Encoder

    encoders = {name: Encoder(EncoderSettings(model=name)) for name in (TINY, TINY_VIT)}
    return [_size(name, each.model, each.width) for name, each in encoders.items()]


def _size(name: str, model: Any, width: int) -> Size:
    side = model.visual.image_size
    return Size(
        name=name,
        parameters=_parameters(model),
        image=_parameters(model.visual),
        width=width,
        side=side if isinstance(side, int) else side[0],
    )


def _parameters(model: nn.Module) -> int:
    return sum(each.numel() for each in model.parameters())


def main() -> int:
    """Print the table; there is no bar."""
    sizes = [*shipped(), *map(size_of, NAMES)]
    lines = [
        [
            each.name,
            f"{each.parameters / MEGA:.1f}",
            f"{each.image / MEGA:.1f}",
            f"{4 * each.parameters / MEGA:,.0f}",
            f"{2 * each.parameters / MEGA:,.0f}",
            str(each.width),
            str(each.side),
        ]
        for each in sizes
    ]
    headings = ["encoder", "M parameters", "of the image tower", "MB", "MB in half", "D", "side"]
    grid("bench-encoders", headings, lines)
    rows = [Row(figure=each.name, value=each.parameters, unit="parameters") for each in sizes]
    return judged("bench-encoders", rows)


if __name__ == "__main__":
    sys.exit(main())
