"""Damaged files: a picture of the right shape or an error that names the file, and nothing else."""

import random
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from adapters.errors import ImageError, UnavailableError
from tests.support.scenes.pictures import damaged, encoded, flat_png, noise, of_every_format
from tests.workers.images.test_pixels import open_clip_config
from workers.images.decode import decode_image
from workers.images.files.formats import PNG
from workers.images.files.limits import DEFAULT_LIMITS, ImageLimits
from workers.images.pixels import PixelTransform
from workers.images.refusals import refusing

SIDE = 16
FILES = of_every_format()
EACH = 60
"""How often every file is damaged."""
SMALL = ImageLimits(pixels=250_000, jpeg2000_pixels=250_000)
"""Damage makes heads promise much; that costs time here, and memory is looked at elsewhere."""


@cache
def transform() -> PixelTransform:
    return PixelTransform(open_clip_config(size=SIDE))


def read(content: bytes) -> bool:
    """Read a file as a replica does; return whether it has a picture."""
    try:
        pixels = transform()(decode_image(content, origin="upload.bin", limits=SMALL))
    except ImageError as error:
        assert "upload.bin" in error.message
        assert "\n" not in error.message
        return False
    assert (pixels.shape, pixels.dtype) == ((3, SIDE, SIDE), torch.uint8)
    return True


@pytest.mark.parametrize("name", FILES)
def test_a_file_damaged_at_random_gives_a_picture_or_an_image_error(name: str) -> None:
    draw = random.Random(name)
    for _ in range(EACH):
        read(damaged(FILES[name], draw))


@given(st.sampled_from(sorted(FILES)), st.data())
@settings(max_examples=300)
def test_bytes_put_anywhere_give_a_picture_or_an_image_error(
    name: str, data: st.DataObject
) -> None:
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        some = data.draw(st.binary(min_size=1, max_size=8))
        content[at : at + len(some)] = some
    read(bytes(content))


@given(st.binary(max_size=300))
def test_bytes_of_any_kind_are_refused_or_read(content: bytes) -> None:
    read(content)


@given(
    st.integers(1, 300),
    st.integers(1, 300),
    st.sampled_from(["PNG", "TIFF", "WEBP", "JPEG2000", "AVIF"]),
    st.sampled_from(["L", "LA", "RGB", "RGBA"]),
)
@settings(max_examples=60)
def test_a_picture_of_any_size_has_pixels(width: int, height: int, kind: str, mode: str) -> None:
    picture = noise(mode, (width, height))
    # These two have no grey with transparency.
    written = picture.convert("RGBA") if kind in ("WEBP", "AVIF") else picture
    assert read(encoded(written, kind))


RAISED: list[BaseException] = [
    ValueError("a value"),
    KeyError(5),
    AttributeError("NoneType has no attribute"),
    RecursionError("maximum recursion depth exceeded"),
    SystemError("tile cannot extend outside image"),
    Image.DecompressionBombError("too large"),
    AssertionError(),
    ValueError("many\nlines " * 100),
]


@pytest.mark.parametrize("raised", RAISED, ids=lambda raised: type(raised).__name__)
def test_whatever_a_library_raises_is_an_image_error_of_one_line(raised: Exception) -> None:
    with (
        pytest.raises(ImageError, match=r"PNG image in photo cannot be decoded") as caught,
        refusing(PNG, "photo", DEFAULT_LIMITS),
    ):
        raise raised
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400
    assert caught.value.__cause__ is raised


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(3)])
def test_an_interrupt_is_no_fault_of_the_picture(raised: BaseException) -> None:
    with pytest.raises(type(raised)), refusing(PNG, "photo", DEFAULT_LIMITS):
        raise raised


MEMORY: list[tuple[str, int, type[Exception]]] = [
    # what, the most pixels of a picture, whose fault it is
    ("a picture wants more than one may have", 10, ImageError),
    ("the machine has less than a picture may have", 2**55, UnavailableError),
]


@pytest.mark.parametrize(
    ("pixels", "expected"), [row[1:] for row in MEMORY], ids=[row[0] for row in MEMORY]
)
def test_memory_that_is_not_there_is_laid_to_whose_fault_it_is(
    pixels: int, expected: type[Exception]
) -> None:
    with (
        pytest.raises(expected, match="PNG image in photo"),
        refusing(PNG, "photo", ImageLimits(pixels=pixels)),
    ):
        raise MemoryError


def test_a_picture_over_the_limit_is_refused_before_it_is_decoded() -> None:
    content = flat_png(300, 200)
    spoilt = content[:50] + bytes(len(content) - 50)
    with pytest.raises(ImageError, match="at most 1000 pixels, found 300 x 200"):
        decode_image(spoilt, origin="photo", limits=ImageLimits(pixels=1_000))
