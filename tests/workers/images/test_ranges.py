"""Ranges: values that are no bytes become what a person expects, or are refused with what to do."""

import io
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from adapters.errors import ImageError
from tests.support.scenes.pictures import encoded
from workers.images.decode import decode_image

SIZE = (5, 4)


def values(*of: float, kind: str = "u2") -> Image.Image:
    """Return a picture that begins with some values and goes on with the last one."""
    flat = np.full(SIZE[0] * SIZE[1], of[-1], dtype=kind)
    flat[: len(of)] = of
    return Image.fromarray(flat.reshape(SIZE[1], SIZE[0]))


def greys(content: bytes, count: int = 2) -> list[int]:
    """Return the first pixels of a file, which must be grey."""
    decoded = np.asarray(decode_image(content, origin="scan"))
    assert (decoded == decoded[..., :1]).all()
    return [int(value) for value in decoded[0, :count, 0]]


def pgm(maxval: int, *of: int) -> bytes:
    """Return a PGM of 16-bit values under a declared maximum."""
    samples = np.asarray(values(*of)).astype(">u2").tobytes()
    return b"P5 %d %d %d\n" % (*SIZE, maxval) + samples


def tiff_of_12_bits(*of: int) -> bytes:
    """Return a TIFF of 12 bits a sample, two samples in three bytes."""
    pairs = [(of[0], of[-1])] * (SIZE[0] * SIZE[1] // 2)
    data = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs)
    content = bytearray(encoded(Image.new("L", (len(data), 1)), "TIFF"))
    with Image.open(io.BytesIO(content)) as opened:
        start = opened.tag_v2[273][0]  # type: ignore[attr-defined]
    content[start : start + len(data)] = data
    for tag, value in ((256, len(pairs) * 2), (258, 12)):
        at = content.index(tag.to_bytes(2, "little")) + 8
        content[at : at + 2] = value.to_bytes(2, "little")
    return bytes(content)


KEPT: list[tuple[str, bytes, list[int]]] = [
    # what, the file, its first two grey values
    ("8 bits in 16: a mask of few values", encoded(values(3, 255)), [3, 255]),
    ("10 bits in 16", encoded(values(512, 1023)), [128, 255]),
    ("12 bits in 16: a microscope", encoded(values(2048, 4095)), [128, 255]),
    ("14 bits in 16: millimetres of a depth camera", encoded(values(4096, 16_000)), [64, 250]),
    ("16 bits, all of them", encoded(values(32_768, 65_535)), [128, 255]),
    # a bit more is already the next range
    ("4096 has 13 bits", encoded(values(0, 4096)), [0, 64]),
    ("16 bits in TIFF", encoded(values(2048, 4095), "TIFF"), [128, 255]),
    ("packed", encoded(values(2048, 4095), "TIFF", compression="tiff_lzw"), [128, 255]),
    ("big-endian", encoded(values(2048, 4095, kind=">u2"), "TIFF"), [128, 255]),
    ("32 bits of bytes", encoded(values(7, 200, kind="i4"), "TIFF"), [7, 200]),
    ("32 bits of 12", encoded(values(16, 4000, kind="i4"), "TIFF"), [1, 250]),
    ("nothing but zero", encoded(values(0, 0)), [0, 0]),
    # what a file says of itself counts more than its largest value
    ("PGM of 4095", pgm(4095, 2048, 100), [128, 6]),
    ("PGM of 1023, whose largest value is small", pgm(1023, 128, 64), [32, 16]),
    ("PGM of 65535, which programs write for any 16 bits", pgm(65_535, 2048, 4095), [128, 255]),
    ("TIFF of 12 bits a sample", tiff_of_12_bits(100, 2048), [6, 128]),
    (
        "JPEG 2000 of 16 bits",
        encoded(values(2048, 4095), "JPEG2000", irreversible=False),
        [128, 255],
    ),
    ("floating point of 0 to 1", encoded(values(0.5, 1.0, kind="f4"), "TIFF"), [128, 255]),
    ("a dim one", encoded(values(0.1, 0.4, kind="f4"), "TIFF"), [26, 102]),
    ("a rounding beyond 1", encoded(values(0.0, 1.001, kind="f4"), "TIFF"), [0, 255]),
    ("a rounding below 0", encoded(values(-0.001, 1.0, kind="f4"), "TIFF"), [0, 255]),
    ("floating point of 0 to 255", encoded(values(7.4, 254.6, kind="f4"), "TIFF"), [7, 255]),
    ("PFM", encoded(values(0.5, 1.0, kind="f4"), "PPM"), [128, 255]),
]


@pytest.mark.parametrize(
    ("content", "expected"), [row[1:] for row in KEPT], ids=[r[0] for r in KEPT]
)
def test_a_range_that_is_known_becomes_bytes(content: bytes, expected: list[int]) -> None:
    assert greys(content) == expected


REFUSED: list[tuple[str, bytes, str]] = [
    # what, the file, what the message says
    ("not a number", encoded(values(0.5, np.nan, kind="f4"), "TIFF"), "not finite"),
    ("infinite", encoded(values(0.5, np.inf, kind="f4"), "TIFF"), "not finite"),
    ("1 or 255?", encoded(values(0.0, 1.02, kind="f4"), "TIFF"), "0 to 1 or 0 to 255"),
    ("light without end", encoded(values(0.0, 900.0, kind="f4"), "TIFF"), "from 0 to 900"),
    ("about zero", encoded(values(-1.0, 1.0, kind="f4"), "TIFF"), "from -1 to 1"),
    ("Hounsfield units", encoded(values(-1024, 3000, kind="i4"), "TIFF"), "from -1024 to 3000"),
    ("counts", encoded(values(0, 65_536, kind="i4"), "TIFF"), "from 0 to 65536"),
]


@pytest.mark.parametrize(
    ("content", "message"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_a_range_that_nobody_knows_is_refused_with_what_to_do(content: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message) as caught:
        decode_image(content, origin="scan.tif")
    assert "scan.tif" in caught.value.message
    assert "save it as an 8-bit PNG" in caught.value.message


def rgb_of_16_bits(*colors: int) -> bytes:
    """Return a PNG of 16 bits a color, which Pillow reads and does not write."""
    grey = encoded(Image.fromarray(np.array([colors * 3], dtype=np.uint16)))
    content = bytearray(grey)
    # Three grey pixels are one of color: the rows have the same bytes.
    content[16:20], content[25] = len(colors).to_bytes(4, "big"), 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    return bytes(content)


def test_colors_of_16_bits_keep_their_upper_bytes() -> None:
    decoded = decode_image(rgb_of_16_bits(0x8000, 0xFFFF), origin="scan")
    assert decoded.size == (2, 1)
    assert decoded.getextrema()[0] == (128, 255)


@pytest.mark.parametrize("top", [0x0FFF, 0x3FFF])
def test_colors_of_12_or_14_bits_in_16_are_refused_instead_of_black(top: int) -> None:
    with pytest.raises(ImageError, match="colors of 16 bits that all are below a quarter"):
        decode_image(rgb_of_16_bits(0, top), origin="scan")


@pytest.mark.parametrize("kind", ["u2", "f4"])
def test_white_may_be_zero_whatever_the_bits(kind: str) -> None:
    top = 65_535 if kind == "u2" else 1.0
    content = encoded(values(0, top, kind=kind), "TIFF", tiffinfo={262: 0})
    assert greys(content) == [255, 0]


def test_values_with_a_sign_are_refused() -> None:
    content = bytearray(encoded(Image.new("L", (8, 8)), "TIFF", tiffinfo={339: 2}))
    with pytest.raises(ImageError, match="values with a sign"):
        decode_image(bytes(content), origin="scan")


def test_what_is_transparent_is_white_to_the_value() -> None:
    content = encoded(values(1000, 1001, 40_000), transparency=1000)
    assert greys(content, 3) == [255, 3, 156]


def test_a_large_picture_is_scaled_as_a_small_one() -> None:
    """More pixels than are worked on at a time, the largest value in the last row."""
    pixels = np.full((1100, 1000), 2048, dtype=np.uint16)
    pixels[-1, -1] = 4095
    decoded = np.asarray(decode_image(encoded(Image.fromarray(pixels)), origin="scan"))
    assert (decoded[0, 0] == 128).all()
    assert (decoded[-1, -1] == 255).all()
    assert decoded.shape == (1100, 1000, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_on_white_is_the_same_in_bands_as_at_once(mode: str) -> None:
    draw = np.random.default_rng(3)
    picture = Image.fromarray(draw.integers(0, 256, (1300, 900, 4), dtype=np.uint8), "RGBA")
    layered = picture.convert(mode)
    options: dict[str, Any] = {"transparency": 3} if mode == "P" else {}
    content = encoded(layered, **options)
    with Image.open(io.BytesIO(content)) as opened:
        whole = opened.convert("RGBA")
    expected = Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")
    assert decode_image(content, origin="scan").tobytes() == expected.tobytes()


@given(st.integers(1, 16), st.lists(st.integers(0, 65_535), min_size=20, max_size=20))
def test_brighter_values_never_become_darker_and_none_is_far_from_its_share(
    bits: int, drawn: list[int]
) -> None:
    pixels = np.array([value % 2**bits for value in drawn], dtype=np.uint16).reshape(4, 5)
    shown = np.asarray(decode_image(encoded(Image.fromarray(pixels)), origin="scan"))[..., 0]
    order = np.argsort(pixels, axis=None)
    assert (np.diff(shown.ravel()[order].astype(int)) >= 0).all()
    # The largest value of a range has at least a quarter of white; 8 bits stay as they are.
    if pixels.max() > 255:
        assert shown.max() >= 64
    else:
        assert (shown == pixels).all()
