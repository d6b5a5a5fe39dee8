"""Bounded resizing: ordinary pictures to the bit, and strips for what their pixels cost."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from tests.support.scenes.pictures import noise
from tests.workers.images.test_pixels import open_clip_config, theirs
from workers.images.files.limits import DEFAULT_LIMITS
from workers.images.pixels import PixelTransform
from workers.images.resizing import fitting_of, resizable

MOST = DEFAULT_LIMITS.resized_pixels
LITTLE = 3_000
"""So few pixels that small pictures are too much already, of which open_clip makes the whole."""


def fitted(
    picture: Image.Image, side: int, mode: str = "shortest", *, most: int = MOST
) -> Image.Image:
    fitting = fitting_of(side, resize_mode=mode, interpolation="bicubic")
    return resizable(picture, fitting, most=most)


ORDINARY = [
    # width, height, side of the encoder's input
    (640, 480, 224),
    (8_000, 6_000, 224),
    (30_000, 1_600, 448),
    # as long and as narrow as they may be
    (74_000, 250, 224),
    (250, 74_000, 224),
    (1, 330, 224),
    (37_000, 500, 448),
    (80, 1, 448),
]


@pytest.mark.parametrize(("width", "height", "side"), ORDINARY)
def test_an_ordinary_picture_is_left_as_it_is(width: int, height: int, side: int) -> None:
    # One bit a pixel: what is made of it is not looked at here.
    picture = Image.new("1", (width, height))
    assert fitted(picture, side) is picture


STRIPS = [(1, 20_000), (20_000, 1), (1, 900_000), (7, 900_000), (900_000, 7)]


@pytest.mark.parametrize("size", STRIPS)
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_of_a_strip_nothing_is_left_that_costs_much(size: tuple[int, int], mode: str) -> None:
    made = fitted(Image.new("RGB", size), 224, mode, most=224 * 224)
    assert max(made.size) == 224


def pixels(picture: Image.Image, config: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Return what is made of a picture by way of a small limit, and by open_clip; 0 to 255."""
    transform = PixelTransform(config)
    fitting = fitting_of(
        config["size"], resize_mode=config["resize_mode"], interpolation=config["interpolation"]
    )
    ours = transform(resizable(picture, fitting, most=LITTLE)).float()
    mean, std = (torch.tensor(config[name])[:, None, None] for name in ("mean", "std"))
    return ours, (theirs(config, picture) * std + mean) * 255


SHORT, LONG = st.integers(1, 40), st.integers(400, 3_000)


@given(
    SHORT,
    LONG,
    st.booleans(),
    st.sampled_from([8, 16, 33]),
    st.sampled_from(["bicubic", "bilinear"]),
)
@settings(max_examples=150)
def test_the_middle_of_a_strip_is_that_of_open_clip_to_two_of_255(
    short: int, long: int, lies: bool, side: int, interpolation: str
) -> None:
    picture = noise("RGB", (long, short) if lies else (short, long))
    config = open_clip_config(size=side, interpolation=interpolation, resize_mode="shortest")
    ours, expected = pixels(picture, config)
    # A rounding in one direction, weighted in the other by 1.25 at most and rounded again; and one
    # of float32 on the way back from the normalised values.
    assert (ours - expected).abs().max() < 2.01


def ramp(width: int, height: int) -> Image.Image:
    """Return a picture that grows brighter along its longer side."""
    grey = Image.linear_gradient("L")
    turned = grey if height > width else grey.transpose(Image.Transpose.ROTATE_90)
    return turned.resize((width, height)).convert("RGB")


# open_clip itself can make something of sides within twice the input's, 32 : 1
@pytest.mark.parametrize("size", [(90, 2_700), (2_700, 90), (200, 3_000), (3_000, 200)])
@pytest.mark.parametrize("mode", ["longest", "squash"])
def test_a_strip_that_is_to_be_seen_whole_is_that_of_open_clip_but_for_averaging(
    size: tuple[int, int], mode: str
) -> None:
    config = open_clip_config(size=16, resize_mode=mode, fill_color=0)
    ours, expected = pixels(ramp(*size), config)
    # A step of the ramp, of 256 in the picture, is 16 here: an eighth of a pixel.
    assert (ours - expected).abs().max() <= 2


@pytest.mark.parametrize("size", [(1, 20_000), (20_000, 1)])
def test_a_line_that_would_vanish_is_one_pixel_wide(size: tuple[int, int]) -> None:
    transform = PixelTransform(open_clip_config(resize_mode="longest", fill_color=0))
    made = transform(Image.new("RGB", size, "white"))
    assert made.shape == (3, 224, 224)
    assert set(made.sum(dim=(0, 1 if size[1] == 1 else 2)).tolist()) == {3 * 255}


@pytest.mark.parametrize("size", STRIPS)
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_a_strip_of_any_length_has_pixels(
    size: tuple[int, int], mode: str, interpolation: str
) -> None:
    config = open_clip_config(resize_mode=mode, interpolation=interpolation)
    assert PixelTransform(config)(Image.new("RGB", size)).shape == (3, 224, 224)


def test_an_input_that_is_no_square_has_pixels_of_a_strip_too() -> None:
    transform = PixelTransform(open_clip_config(size=(64, 96), resize_mode="shortest"))
    assert transform(Image.new("RGB", (1, 50_000))).shape == (3, 64, 96)
