"""Data augmentation: views of a picture, drawn once, so that the tower runs once for each.

View 0 is always the test view. The others are random crops (8 to 100 % of the area, sides within
3:4, resized to a square, mirrored half of the time), as LADA's published training draws them for
natural images. They are seeded by the image's own digest, so they do not depend on its neighbours.
"""

import math
import random
from dataclasses import dataclass
from typing import Literal

from PIL import Image

Augmentation = Literal["crop-mirror", "crop"]

SMALLEST_AREA = 0.08
WIDEST_RATIO = 4 / 3
ATTEMPTS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Views:
    """How many views of each image are embedded, and how they are drawn.

    Attributes:
        count: V; 1 means the test view alone.
        augmentation: `crop` leaves out the mirroring, for digits, letters and signs.
    """

    count: int = 1
    augmentation: Augmentation = "crop-mirror"

    @property
    def name(self) -> str:
        """Names the views in keys."""
        return "1" if self.count == 1 else f"{self.count}-{self.augmentation}"


def augmented_views(
    picture: Image.Image, views: Views, *, digest: str, size: int
) -> list[Image.Image]:
    """Return the views of `picture` after the first, each `size` by `size` pixels.

    Args:
        picture: RGB.
        views: How many and how.
        digest: SHA-256 of the image file, in hexadecimal: the seed.
        size: Side of the encoder's input in pixels.
    """
    draw = random.Random(digest)
    return [_view(picture, views, draw, size) for _ in range(views.count - 1)]


def numbered_view(
    picture: Image.Image, number: int, *, augmentation: Augmentation, digest: str, size: int
) -> Image.Image:
    """Return augmented view `number` of `picture`, drawn by itself, so that there is no last one.

    Args:
        picture: RGB.
        number: From 1.
        augmentation: How it is drawn.
        digest: SHA-256 of the image file; with the number it is the seed.
        size: Side of the encoder's input in pixels.
    """
    return _view(
        picture, Views(augmentation=augmentation), random.Random(f"{digest}/{number}"), size
    )


def _view(picture: Image.Image, views: Views, draw: random.Random, size: int) -> Image.Image:
    box = _crop_box(picture.width, picture.height, draw)
    view = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
    mirror = draw.random() < 0.5
    if mirror and views.augmentation == "crop-mirror":
        return view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return view


def _crop_box(width: int, height: int, draw: random.Random) -> tuple[float, float, float, float]:
    for _ in range(ATTEMPTS):
        area = width * height * draw.uniform(SMALLEST_AREA, 1)
        ratio = math.exp(draw.uniform(-1, 1) * math.log(WIDEST_RATIO))
        crop_width, crop_height = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if crop_width <= width and crop_height <= height:
            left, top = draw.uniform(0, width - crop_width), draw.uniform(0, height - crop_height)
            return left, top, left + crop_width, top + crop_height
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side
