"""Augmented views: drawn by the image's digest alone, and cut from inside the picture."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from workers.images.augmentation import augmented_views
from workers.images.views import Views

FIRST, SECOND = "ab" * 32, "cd" * 32
SIDES = st.integers(1, 3_000)


def photo(width: int = 60, height: int = 40) -> Image.Image:
    content = random.Random(1).randbytes(3 * width * height)
    return Image.frombytes("RGB", (width, height), content)


def ramp() -> Image.Image:
    """Return a picture that grows brighter from left to right."""
    return Image.linear_gradient("L").transpose(Image.Transpose.ROTATE_90).convert("RGB")


def drawn(views: Views, *, digest: str = FIRST, picture: Image.Image | None = None) -> list[bytes]:
    found = augmented_views(picture or photo(), views, digest=digest, size=16)
    return [view.tobytes() for view in found]


def test_the_same_image_always_has_the_same_views() -> None:
    assert drawn(Views(count=5)) == drawn(Views(count=5))


def test_another_image_has_other_views() -> None:
    assert not set(drawn(Views(count=5))) & set(drawn(Views(count=5), digest=SECOND))


def test_more_views_begin_with_the_same_ones() -> None:
    assert drawn(Views(count=9))[:4] == drawn(Views(count=5))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_test_view_counts_as_one_of_them(count: int) -> None:
    found = augmented_views(photo(), Views(count=count), digest=FIRST, size=16)
    assert [view.size for view in found] == [(16, 16)] * (count - 1)


@given(SIDES, SIDES, st.text("0123456789abcdef", min_size=64, max_size=64))
def test_crops_lie_inside_the_picture_whatever_its_shape(
    width: int, height: int, digest: str
) -> None:
    # Pillow refuses a box that leaves the picture or is empty.
    picture = Image.new("L", (width, height))
    assert len(augmented_views(picture, Views(count=3), digest=digest, size=1)) == 2


def grows_to_the_right(view: Image.Image) -> bool:
    left, right = view.getpixel((0, 8)), view.getpixel((15, 8))
    assert isinstance(left, tuple)
    assert isinstance(right, tuple)
    return left[0] < right[0]


def test_crop_never_mirrors() -> None:
    views = Views(count=65, augmentation="crop")
    found = augmented_views(ramp(), views, digest=FIRST, size=16)
    assert all(grows_to_the_right(view) for view in found)


def test_crop_mirror_mirrors_about_half_of_them() -> None:
    found = augmented_views(ramp(), Views(count=201), digest=FIRST, size=16)
    mirrored = sum(not grows_to_the_right(view) for view in found)
    # 200 draws of one half: 5 standard deviations are 35.
    assert 65 <= mirrored <= 135


def test_both_augmentations_cut_the_same_crops() -> None:
    mirrored = drawn(Views(count=9))
    upright = drawn(Views(count=9, augmentation="crop"))
    assert 0 < sum(a == b for a, b in zip(mirrored, upright, strict=True)) < 8


NAMES = [
    (Views(), "1"),
    # one view is the test view, however the others would be drawn
    (Views(augmentation="crop"), "1"),
    (Views(count=4), "4-crop-mirror"),
    (Views(count=4, augmentation="crop"), "4-crop"),
]


@pytest.mark.parametrize(("views", "name"), NAMES)
def test_views_that_differ_have_different_names(views: Views, name: str) -> None:
    assert views.name == name
