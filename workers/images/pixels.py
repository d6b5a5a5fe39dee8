"""Image preprocessing: from pictures to the encoder's pixels, without the encoder's weights.

Shapes: N images · V views per image · S side of the encoder's input in pixels
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from workers.images.augmentation import augmented_views
from workers.images.decode import decode_image
from workers.images.files.limits import DEFAULT_LIMITS
from workers.images.resizing import fitting_of, resizable
from workers.images.torchvision_ops import ensure_torchvision_imports
from workers.images.views import Views


class PixelTransform:
    """The test transform of one encoder, as whole numbers: 0 to 255, a quarter of the bytes.

    What follows, the division by 255 and the normalisation, is the encoder's (`normalised`), so
    that it happens where the forward happens. Together they are the transform of open_clip, to the
    bit for every picture whose resizing makes no more pixels than the limit; longer ones are cut or
    averaged first, as `workers.images.resizing` says.

    Args:
        config: The encoder's preprocessing, as open_clip writes it.
    """

    # Owns: nothing that changes; safe between threads.

    def __init__(self, config: Mapping[str, Any]) -> None:
        ensure_torchvision_imports()
        from open_clip.transform import PreprocessCfg, image_transform_v2
        from torchvision.transforms import PILToTensor

        self.config = dict(config)
        cfg = PreprocessCfg(**config)
        self._fitting = fitting_of(
            cfg.size, resize_mode=cfg.resize_mode, interpolation=cfg.interpolation
        )
        whole: Any = image_transform_v2(cfg, is_train=False)
        # The last two are the conversion to floating point and the normalisation.
        self._steps = (*whole.transforms[:-2], PILToTensor())
        normalise = whole.transforms[-1]
        self._mean = torch.tensor(normalise.mean, dtype=torch.float32)[:, None, None]
        self._std = torch.tensor(normalise.std, dtype=torch.float32)[:, None, None]

    def __call__(self, picture: Image.Image) -> Tensor:
        """Return the test view of an RGB picture: (3, S, S) uint8."""
        value: Any = resizable(picture, self._fitting, most=DEFAULT_LIMITS.resized_pixels)
        for step in self._steps:
            value = step(value)
        pixels: Tensor = value
        return pixels

    def normalised(self, pixels: Tensor) -> Tensor:
        """Return (N, 3, S, S) uint8 as the encoder expects it: float32 on the same device."""
        mean, std = self._mean.to(pixels.device), self._std.to(pixels.device)
        return pixels.to(torch.float32).div(255).sub_(mean).div_(std)


class Decoder:
    """Decodes image files for one encoder."""

    # Owns: nothing that changes; safe between threads.

    def __init__(self, transform: PixelTransform) -> None:
        self._transform = transform

    def decode(
        self,
        files: Sequence[bytes],
        digests: Sequence[str],
        views: Views,
        *,
        origins: Sequence[str] | None = None,
    ) -> Tensor:
        """Return the views of every image, an image's views one after another.

        Args:
            files: N image files.
            digests: Their SHA-256, which seed the augmented views.
            views: How many views and how they are drawn.
            origins: Where they come from, for errors; None names them by digest.

        Returns:
            (N * V, 3, S, S) uint8.

        Raises:
            ImageError: a file is no image.
        """
        named = origins or [f"image {digest[:12]}" for digest in digests]
        pixels = [
            view
            for content, digest, origin in zip(files, digests, named, strict=True)
            for view in self._views(content, digest, views, origin)
        ]
        return torch.stack(pixels)

    def _views(self, content: bytes, digest: str, views: Views, origin: str) -> list[Tensor]:
        picture = decode_image(content, origin=origin)
        first = self._transform(picture)
        others = augmented_views(picture, views, digest=digest, size=first.shape[-1])
        return [first, *map(self._transform, others)]


class Pending(Protocol):
    """Pixels that are being decoded: a thread's future, or the answer of another process."""

    def result(self) -> Any:
        """Wait for the pixels, (N * V, 3, S, S) uint8 as a tensor or an array, and return them."""


Decode = Callable[[Sequence[bytes], Sequence[str], Views], Pending]
"""Begins to decode; the arguments are those of `Decoder.decode`."""
