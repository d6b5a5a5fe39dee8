"""Essentials: what is left out of a file does not show in its pixels."""

import io
import zlib
from collections.abc import Callable

import pytest
from PIL import Image

from adapters.errors import ImageError
from tests.support.scenes.pictures import (
    encoded,
    gif_with,
    jpeg_segment,
    jpeg_with,
    noise,
    of_every_format,
    png_chunk,
    png_with,
)
from workers.images.decode import decode_image
from workers.images.files.by_format import essentials_of
from workers.images.files.formats import GIF, JPEG, PNG, TIFF, Format, format_of
from workers.images.files.limits import DEFAULT_LIMITS

BOMB = zlib.compress(bytes(30 * 2**20))
COMMENT = jpeg_segment(0xFE, b"hello")
FILES = {
    name: content
    for name, content in of_every_format().items()
    if name != "HEIC" and "I;16" not in name and not name.endswith(" F")
}


def opened(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()
        return picture


@pytest.mark.parametrize("name", FILES)
def test_the_pixels_of_what_is_left_are_those_of_the_whole_file(name: str) -> None:
    content = FILES[name]
    kind = format_of(content)
    assert kind is not None
    left, whole = opened(essentials_of(content, kind, DEFAULT_LIMITS).content), opened(content)
    assert (left.mode, left.size) == (whole.mode, whole.size)
    assert left.tobytes() == whole.tobytes()
    assert left.getpalette() == whole.getpalette()
    assert left.info.get("transparency") == whole.info.get("transparency")


LEFT_OUT: list[tuple[str, Format, bytes, bytes]] = [
    # what, the format, the file, a part that is gone
    ("a comment", JPEG, jpeg_with(COMMENT), b"hello"),
    ("fill bytes and a comment", JPEG, jpeg_with(b"\xff\xff" + COMMENT), b"hello"),
    ("a profile", JPEG, jpeg_with(jpeg_segment(0xE2, b"ICC_PROFILE\0\1\1x")), b"ICC"),
    ("what follows the picture", JPEG, jpeg_with() + b"a video of it", b"video"),
    ("text", PNG, png_with(png_chunk(b"tEXt", b"Author\0somebody")), b"somebody"),
    (
        "a profile in PNG",
        PNG,
        png_with(png_chunk(b"iCCP", b"x\0\0" + zlib.compress(b"x"))),
        b"iCCP",
    ),
    ("a comment in GIF", GIF, gif_with(b"\x21\xfe\5hello\0"), b"hello"),
    ("a program's block in GIF", GIF, gif_with(b"\x21\xff\x0bNETSCAPE2.0\3\1\0\0\0"), b"NETSCAPE"),
]


@pytest.mark.parametrize(
    ("kind", "content", "part"), [row[1:] for row in LEFT_OUT], ids=[row[0] for row in LEFT_OUT]
)
def test_what_the_pixels_do_not_need_is_left_out(kind: Format, content: bytes, part: bytes) -> None:
    left = essentials_of(content, kind, DEFAULT_LIMITS).content
    assert part in content
    assert part not in left
    assert opened(left).tobytes() == opened(content).tobytes()


ODD: list[tuple[str, bytes]] = [
    # what makes Pillow refuse a picture, or read for long, whose pixels are there
    ("half a profile", jpeg_with(jpeg_segment(0xE2, b"ICC_PROFILE\0"))),
    ("a length of nothing", jpeg_with(jpeg_segment(0xED, b"Photoshop 3.0\0" + b"8BIM"))),
    ("text that unpacks to 30 MiB", png_with(png_chunk(b"zTXt", b"k\0\0" + BOMB))),
    ("a profile that does", png_with(png_chunk(b"iCCP", b"k\0\0" + BOMB))),
    ("EXIF as text that does", png_with(png_chunk(b"zTXt", b"Raw profile type exif\0\0" + BOMB))),
    ("a resolution of nothing", png_with(png_chunk(b"pHYs", b""))),
]


@pytest.mark.parametrize("content", [row[1] for row in ODD], ids=[row[0] for row in ODD])
def test_odd_metadata_does_not_keep_a_picture_from_being_used(content: bytes) -> None:
    assert decode_image(content, origin="photo").size == noise("RGB").size


def test_a_tiff_keeps_its_pixels_and_loses_its_other_entries_and_pages() -> None:
    content = encoded(
        noise("RGB"), "TIFF", description="hello", save_all=True, append_images=[noise("RGB")]
    )
    left = opened(essentials_of(content, TIFF, DEFAULT_LIMITS).content)
    assert getattr(left, "n_frames", 1) == 1
    assert 270 not in left.tag_v2  # type: ignore[attr-defined]
    assert left.tobytes() == opened(content).tobytes()


CUT: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: jpeg_with(COMMENT),
    "PNG": lambda: png_with(png_chunk(b"tEXt", b"k\0v")),
    "GIF": lambda: gif_with(b"\x21\xfe\5hello\0"),
    "TIFF": lambda: encoded(noise("RGB"), "TIFF", compression="tiff_lzw"),
    "PPM": lambda: encoded(noise("RGB"), "PPM"),
    "JPEG2000": lambda: encoded(noise("RGB"), "JPEG2000"),
    "WEBP": lambda: encoded(noise("RGB"), "WEBP"),
    "BMP": lambda: encoded(noise("RGB"), "BMP"),
    "AVIF": lambda: encoded(noise("RGB"), "AVIF"),
}


@pytest.mark.parametrize("name", CUT)
def test_a_file_that_ends_anywhere_is_refused_and_named(name: str) -> None:
    content = CUT[name]()
    refused = 0
    # Past three quarters some formats have all of their pixels.
    for end in range(1, 3 * len(content) // 4):
        with pytest.raises(ImageError, match=r"cut\.bin"):
            decode_image(content[:end], origin="cut.bin")
        refused += 1
    assert refused > 50
