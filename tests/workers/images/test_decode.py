"""Images from strangers: the right picture, or one sentence that names where it came from."""

import io
import random
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from adapters.errors import ImageError
from workers.images.decode import ImageLimits, decode_image

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)
SMALL = ImageLimits(size_bytes=2_000, pixels=900)
Color = tuple[int, ...] | int


def encoded(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(mode: str, color: Color, size: tuple[int, int] = (8, 6)) -> Image.Image:
    return Image.new(mode, size, color)


def noise(width: int, height: int) -> Image.Image:
    content = random.Random(0).randbytes(3 * width * height)
    return Image.frombytes("RGB", (width, height), content)


def palette_with_hole() -> bytes:
    """Return a PNG with a palette, red beside a fully transparent half."""
    picture = Image.new("P", (4, 2), 0)
    picture.putpalette([*RED, *BLUE])
    picture.paste(1, (2, 0, 4, 2))
    return encoded(picture, transparency=1)


def grey_16_bit(value: int, **options: Any) -> bytes:
    return encoded(Image.new("I;16", (4, 4), value), **options)


def animation() -> bytes:
    later = plain("RGB", BLUE)
    return encoded(plain("RGB", RED), "GIF", save_all=True, append_images=[later])


def with_half_alpha() -> bytes:
    return encoded(plain("RGBA", (255, 0, 0, 128)))


PICTURES: list[tuple[str, bytes, tuple[int, int, int]]] = [
    # what, the file, the color of its first pixel
    ("plain RGB", encoded(plain("RGB", RED)), RED),
    ("one pixel", encoded(plain("RGB", BLUE, (1, 1))), BLUE),
    ("grey", encoded(plain("L", 90)), (90, 90, 90)),
    ("black and white", encoded(plain("1", 1)), WHITE),
    # 0x8000 is half of white: kept as 128, not clipped to 255
    ("16-bit grey", grey_16_bit(0x8000), (128, 128, 128)),
    ("16-bit grey in TIFF", encoded(Image.new("I;16", (4, 4), 0x4000), "TIFF"), (64, 64, 64)),
    ("16-bit grey, all of it transparent", grey_16_bit(0x4000, transparency=0x4000), WHITE),
    ("CMYK", encoded(plain("CMYK", (0, 255, 255, 0)), "TIFF"), RED),
    ("animation: the first frame", animation(), RED),
    # half red over white: 255 and 255 - 128 = 127
    ("half transparent on white", with_half_alpha(), (255, 127, 127)),
    ("transparent grey on white", encoded(plain("LA", (0, 0))), WHITE),
    ("palette on white", palette_with_hole(), RED),
]


@pytest.mark.parametrize(
    ("content", "color"), [row[1:] for row in PICTURES], ids=[row[0] for row in PICTURES]
)
def test_a_picture_of_any_kind_becomes_rgb(content: bytes, color: tuple[int, int, int]) -> None:
    picture = decode_image(content, origin="request")
    assert picture.mode == "RGB"
    assert picture.getpixel((0, 0)) == color


def test_what_a_palette_leaves_transparent_becomes_white() -> None:
    assert decode_image(palette_with_hole(), origin="request").getpixel((3, 0)) == WHITE


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "BMP", "PPM", "TIFF", "GIF"])
def test_every_format_that_a_task_may_hold_is_read(kind: str) -> None:
    picture = decode_image(encoded(plain("RGB", RED), kind), origin="request")
    found = picture.getpixel((4, 3))
    assert picture.size == (8, 6)
    # JPEG and WebP are lossy: a plain area comes back within 3 of 255.
    assert isinstance(found, tuple)
    assert all(abs(a - b) <= 3 for a, b in zip(found, RED, strict=True))


def test_a_photo_taken_sideways_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned a quarter: rows are columns
    picture = plain("RGB", RED, (16, 8))
    picture.paste(BLUE, (8, 0, 16, 8))
    upright = decode_image(encoded(picture, exif=exif), origin="request")
    assert upright.size == (8, 16)
    assert (upright.getpixel((0, 0)), upright.getpixel((0, 15))) == (RED, BLUE)


def bomb() -> bytes:
    content = bytearray(encoded(plain("1", 0)))
    content[16:24] = (40_000).to_bytes(4, "big") * 2
    # The checksum of the changed chunk, so that the size is believed.
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


def texture_of_unknown_layout() -> bytes:
    content = bytearray(encoded(plain("RGB", RED), "DDS"))
    content[80:84] = bytes(4)
    return bytes(content)


REFUSED: list[tuple[str, Callable[[], bytes], str]] = [
    # what, the file, what the message says
    ("empty", bytes, "empty file"),
    ("not an image", lambda: b"a letter to nobody", "no known image format"),
    ("truncated JPEG", lambda: encoded(noise(24, 24), "JPEG")[:600], "intact copy"),
    ("truncated PNG", lambda: encoded(noise(20, 20))[:900], "intact copy"),
    ("too many bytes", lambda: encoded(noise(29, 29)), "at most 2000 bytes"),
    # 31 pixels square fit into few bytes, but not under 900 pixels
    ("too many pixels", lambda: encoded(plain("1", 0, (31, 31))), "at most 900 pixels"),
    # the head of a PNG that promises 40,000 pixels square: refused before it is unpacked
    ("decompression bomb", bomb, "40000 x 40000|decompression bomb"),
    # Pillow knows the format, and says "not implemented" instead of "damaged"
    ("a texture of unknown layout", texture_of_unknown_layout, "decoded|no known image format"),
]


@pytest.mark.parametrize(
    ("make", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_cannot_be_used_is_refused_and_named(make: Callable[[], bytes], message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        decode_image(make(), origin="holiday.png", limits=SMALL)
    assert "holiday.png" in caught.value.message
    assert caught.value.fields["origin"] == "holiday.png"


def test_an_image_at_the_limits_is_taken() -> None:
    content = encoded(plain("RGB", RED, (30, 30)))
    limits = ImageLimits(size_bytes=len(content), pixels=900)
    assert decode_image(content, origin="request", limits=limits).size == (30, 30)


SEEDS = [encoded(plain("RGB", RED), kind) for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "DDS")]


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 150), st.integers(0, 255)), max_size=6),
)
def test_damaged_headers_give_a_picture_or_an_image_error(
    content: bytes, damages: list[tuple[int, int]]
) -> None:
    damaged = bytearray(content)
    for position, value in damages:
        damaged[position % len(damaged)] = value
    try:
        assert decode_image(bytes(damaged), origin="request", limits=SMALL).mode == "RGB"
    except ImageError as error:
        assert "request" in error.message


def test_decoding_in_many_threads_leaves_the_process_as_it_was() -> None:
    before = list(warnings.filters)
    content = encoded(noise(64, 64))
    with ThreadPoolExecutor(4) as threads:
        for _ in threads.map(lambda _: decode_image(content, origin="request"), range(800)):
            pass
    assert warnings.filters == before
