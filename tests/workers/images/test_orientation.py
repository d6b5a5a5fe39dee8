"""Orientation: from EXIF as far as it can be read, and never at the price of the picture."""

import io
import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.support.scenes.pictures import (
    encoded,
    exif_block,
    jpeg_segment,
    jpeg_with,
    noise,
    png_chunk,
    png_with,
)
from workers.images.decode import decode_image

ORIENTATIONS = range(1, 9)
ORIENTATION, X_RESOLUTION, EXIF_IFD = 0x0112, 0x011A, 0x8769
PREFIX = b"Exif\0\0"
SIZE = noise("RGB").size
XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'
RANDOM_BLOCKS = 4_000


def short(value: int, order: str = ">") -> bytes:
    return struct.pack(order + "HH", value, 0)


def in_jpeg(block: bytes) -> bytes:
    return jpeg_with(jpeg_segment(0xE1, PREFIX + block))


def turned(size: tuple[int, int]) -> bool:
    """Return whether a picture of `SIZE` lies on its side."""
    assert size in (SIZE, SIZE[::-1])
    return size != SIZE


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_is_turned_as_pillow_turns_it(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[X_RESOLUTION] = 72.0
    # Lossless where it can be; the others are decoded by the same library here and there.
    options = {"tiffinfo": {ORIENTATION: orientation}} if kind == "TIFF" else {"exif": exif}
    content = encoded(noise("RGB"), kind, **options)
    with Image.open(io.BytesIO(content)) as opened:
        expected = ImageOps.exif_transpose(opened).convert("RGB")
    found = decode_image(content, origin="photo")
    assert found.size == expected.size
    assert found.tobytes() == expected.tobytes()


ODD: list[tuple[str, bytes]] = [
    # what else is in the EXIF of a picture that was taken sideways
    ("nothing", b""),
    # what a camera has written: -5/3 where no sign is allowed
    ("a negative resolution", struct.pack(">HHI", X_RESOLUTION, 10, 1) + struct.pack(">I", 38)),
    ("a value beyond the end", struct.pack(">HHII", X_RESOLUTION, 5, 1, 2**31)),
    ("a list without end", struct.pack(">HHII", X_RESOLUTION, 5, 2**32 - 1, 8)),
    ("a type that does not exist", struct.pack(">HHII", 0x010F, 99, 1, 0)),
    ("a directory in itself", struct.pack(">HHII", EXIF_IFD, 4, 1, 8)),
    ("text where a number belongs", struct.pack(">HHI4s", X_RESOLUTION, 2, 4, b"abc\0")),
    ("half an entry", b"\x01\x1a\0\5"),
]


@pytest.mark.parametrize("entry", [row[1] for row in ODD], ids=[row[0] for row in ODD])
def test_odd_exif_beside_an_orientation_does_not_matter(entry: bytes) -> None:
    sideways = struct.pack(">HHI", ORIENTATION, 3, 1) + short(6)
    block = b"MM\0*" + struct.pack(">IH", 8, 2) + sideways + entry
    block += bytes(4) + struct.pack(">ii", -5, 3)
    assert turned(decode_image(in_jpeg(block), origin="photo").size)
    assert turned(decode_image(png_with(png_chunk(b"eXIf", block)), origin="photo").size)


UNREADABLE: list[tuple[str, bytes]] = [
    ("empty", b""),
    ("no EXIF at all", b"a letter to nobody"),
    ("a directory beyond the end", b"MM\0*" + struct.pack(">I", 2**32 - 1) + bytes(8)),
    ("no entries", exif_block([])),
    ("an orientation of another kind", exif_block([(ORIENTATION, 2, 4, b"six\0")])),
    ("an orientation that does not exist", exif_block([(ORIENTATION, 3, 1, short(77))])),
    ("no value", exif_block([(ORIENTATION, 3, 0, short(6))])),
]


@pytest.mark.parametrize(
    "block", [row[1] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE]
)
def test_a_picture_whose_orientation_cannot_be_read_is_used_as_it_is(block: bytes) -> None:
    assert not turned(decode_image(in_jpeg(block), origin="photo").size)


FORMS: list[tuple[str, bytes]] = [
    ("little-endian", in_jpeg(exif_block([(ORIENTATION, 3, 1, short(6, "<"))], order="<"))),
    ("a long number", in_jpeg(exif_block([(ORIENTATION, 4, 1, struct.pack(">I", 6))]))),
    ("said twice over", in_jpeg(PREFIX + exif_block([(ORIENTATION, 3, 1, short(6))]))),
    ("XMP in JPEG", jpeg_with(jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP % 6))),
    ("XMP in PNG", png_with(png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP % 6))),
    ("XMP in WebP", encoded(noise("RGB"), "WEBP", xmp=XMP % 6)),
    ("XMP in TIFF", encoded(noise("RGB"), "TIFF", tiffinfo={700: XMP % 6})),
    (
        "as ImageMagick did in PNG",
        png_with(
            png_chunk(
                b"tEXt",
                b"Raw profile type exif\0\nexif\n      26\n"
                + exif_block([(ORIENTATION, 3, 1, short(6))]).hex().encode(),
            )
        ),
    ),
]


@pytest.mark.parametrize("content", [row[1] for row in FORMS], ids=[row[0] for row in FORMS])
def test_an_orientation_is_found_where_programs_put_it(content: bytes) -> None:
    assert turned(decode_image(content, origin="photo").size)


def random_block(draw: random.Random) -> bytes:
    """Return EXIF that says an orientation and then whatever comes."""
    order = draw.choice("<>")
    tags = [ORIENTATION, X_RESOLUTION, 0x0128, EXIF_IFD, 0x8825, 0xA005, 0x0100, 0x010E, 0x927C]
    entries = [(ORIENTATION, 3, 1, short(draw.randrange(1, 9), order))]
    for _ in range(draw.randrange(8)):
        tag = draw.choice(tags) if draw.random() < 0.8 else draw.randrange(2**16)
        count = draw.choice([0, 1, 1, 2, 3, 8, 2**31, draw.randrange(100)])
        value = (
            struct.pack(order + "I", draw.randrange(120))
            if draw.random() < 0.5
            else draw.randbytes(4)
        )
        entries.append((tag, draw.randrange(14), count, value))
    block = exif_block(entries, order=order) + draw.randbytes(draw.randrange(60))
    return block if draw.random() < 0.8 else block[: draw.randrange(len(block))]


def test_whatever_the_exif_the_picture_is_used() -> None:
    draw = random.Random(0)
    upright = np.asarray(decode_image(jpeg_with(), origin="photo"))
    for _ in range(RANDOM_BLOCKS):
        found = np.asarray(decode_image(in_jpeg(random_block(draw)), origin="photo"))
        assert sorted(found.shape) == sorted(upright.shape)
        assert found.sum() == upright.sum()


@given(st.binary(max_size=200), st.sampled_from([b"", b"MM\0*\0\0\0\x08", b"II*\0\x08\0\0\0"]))
@settings(max_examples=300)
def test_bytes_that_are_no_exif_do_no_harm(noise_bytes: bytes, head: bytes) -> None:
    block = head + noise_bytes
    for content in (in_jpeg(block), png_with(png_chunk(b"eXIf", block))):
        turned(decode_image(content, origin="photo").size)
