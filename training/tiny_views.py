"""Views of pictures: crops, flips, colours, blur, and mixtures of two or four views.

Shapes: S side of a view in pixels
"""

import random

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

SIDE = 128
_MIXED = 0.3
_RESAMPLING = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.NEAREST)


def view(image: Image.Image, rng: random.Random, *, small: float = 0.0) -> Image.Image:
    """A view of `image`, SIDE by SIDE; with the chance `small` a small grey one of the whole."""
    if rng.random() < small:
        return _small(image, rng)
    image = _crop(image, rng)
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    if rng.random() < 0.1:
        image = image.rotate(rng.choice((90, 180, 270)))
    if rng.random() < 0.25:
        image = image.rotate(
            rng.uniform(-30, 30), Image.Resampling.BILINEAR, fillcolor=_edge(image)
        )
    return _blur(_colour(image, rng), rng)


def mixture(one: np.ndarray, other: np.ndarray, rng: random.Random) -> np.ndarray:
    """Two views (S, S, 3) uint8 in one: blended, or a rectangle of one in the other."""
    if rng.random() < 0.4:
        share = rng.uniform(0.25, 0.75)
        return (share * one + (1 - share) * other).astype(np.uint8)
    mixed = one.copy()
    height, width = (round(SIDE * rng.uniform(0.3, 0.8)) for _ in range(2))
    top, left = rng.randint(0, SIDE - height), rng.randint(0, SIDE - width)
    if rng.random() < 0.5:
        pasted = other[top : top + height, left : left + width]
    else:
        pasted = np.asarray(Image.fromarray(other).resize((width, height)))
    mixed[top : top + height, left : left + width] = pasted
    return mixed


def mixed_in(views: list[np.ndarray], rng: random.Random) -> list[np.ndarray]:
    """The views, some of them replaced by a mixture with another."""
    return [mixture(one, rng.choice(views), rng) if rng.random() < _MIXED else one for one in views]


def _crop(image: Image.Image, rng: random.Random) -> Image.Image:
    width, height = image.size
    if rng.random() < 0.25:
        return image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    large = width * height > 600 * 400
    share = rng.uniform(0.02, 0.5) if large else rng.uniform(0.15, 1.0)
    stretch = 2 ** rng.uniform(-0.5, 0.5)
    across = min(width, max(16, round((share * width * height) ** 0.5 * stretch)))
    down = min(height, max(16, round((share * width * height) ** 0.5 / stretch)))
    left, top = rng.randint(0, width - across), rng.randint(0, height - down)
    box = (left, top, left + across, top + down)
    return image.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box, reducing_gap=2.0)


def _small(image: Image.Image, rng: random.Random) -> Image.Image:
    """The whole picture in grey, mostly light on dark, as a small one looks that was made large."""
    grey = image.convert("L")
    across, down = (round(SIDE * rng.uniform(0.7, 1.0)) for _ in range(2))
    ground = Image.new("L", (SIDE, SIDE), grey.getpixel((0, 0)))
    corner = rng.randint(0, SIDE - across), rng.randint(0, SIDE - down)
    ground.paste(grey.resize((across, down), Image.Resampling.BICUBIC, reducing_gap=2.0), corner)
    if rng.random() < 0.5:
        ground = ImageOps.mirror(ground)
    if rng.random() < 0.3:
        turn = rng.uniform(-15, 15)
        ground = ground.rotate(turn, Image.Resampling.BILINEAR, fillcolor=ground.getpixel((0, 0)))
    light = np.asarray(ground)[[0, -1]].mean() > 127
    if rng.random() < (0.7 if light else 0.1):
        ground = ImageOps.invert(ground)
    if rng.random() < 0.4:
        ground = ImageEnhance.Contrast(ground).enhance(rng.uniform(0.5, 1.5))
    if rng.random() < 0.8:
        side = rng.randint(24, 40)
        ground = ground.resize((side, side), Image.Resampling.BOX)
    return ground.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)


def _colour(image: Image.Image, rng: random.Random) -> Image.Image:
    if rng.random() < 0.7:
        image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.6, 1.4))
        image = ImageEnhance.Contrast(image).enhance(rng.uniform(0.5, 1.5))
        image = ImageEnhance.Color(image).enhance(rng.uniform(0.3, 1.7))
    if rng.random() < 0.2:
        channels = list(image.split())
        rng.shuffle(channels)
        image = Image.merge("RGB", channels)
    if rng.random() < 0.15:
        image = ImageOps.grayscale(image).convert("RGB")
    return ImageOps.invert(image) if rng.random() < 0.12 else image


def _blur(image: Image.Image, rng: random.Random) -> Image.Image:
    """Sometimes as small pictures look that were made larger, sometimes out of focus."""
    chance = rng.random()
    if chance < 0.3:
        side = rng.randint(24, 72)
        small = image.resize((side, side), Image.Resampling.BOX)
        return small.resize((SIDE, SIDE), rng.choice(_RESAMPLING))
    if chance < 0.4:
        return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2.0)))
    return image


def _edge(image: Image.Image) -> tuple[int, ...]:
    corner = image.getpixel((0, 0))
    return corner if isinstance(corner, tuple) else (255, 255, 255)
