"""Augmentation: augmented views of a picture, drawn from their seeds."""

import math
import random

from PIL import Image

from workers.images.views import Augmentation, Views

SMALLEST_AREA = 0.08
WIDEST_RATIO = 4 / 3
ATTEMPTS = 10


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
