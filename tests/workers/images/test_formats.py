"""Formats: what is read, and that everything else is refused by its name before Pillow sees it."""

import io
import struct
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adapters.errors import ImageError
from tests.support.scenes.pictures import HEIC, encoded, noise, of_every_format
from workers.images.decode import EXTENSIONS, decode_image, extension_of
from workers.images.files.formats import HEIF, READ, format_of

FILES = of_every_format()
PILLOW_NAMES = frozenset(
    {"JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000", "HEIF"}
)
"""As Pillow calls what is read, and two that are forms of others."""
needs_heif = pytest.mark.skipif(not HEIF.is_there, reason="the extra `heif` is not installed")


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_each_format_in_each_mode_is_read(name: str) -> None:
    if name == "HEIC" and not HEIF.is_there:
        pytest.skip("the extra `heif` is not installed")
    assert decode_image(FILES[name], origin=name).mode == "RGB"


@pytest.mark.parametrize("name", FILES)
def test_a_file_keeps_its_extension_in_shards(name: str) -> None:
    kind = format_of(FILES[name])
    assert kind in READ
    assert extension_of(FILES[name]) == kind.extensions[0]
    assert extension_of(FILES[name]) in EXTENSIONS


@needs_heif
def test_heic_has_its_colors_and_is_turned_once() -> None:
    picture = decode_image(HEIC, origin="photo")
    assert picture.size == (16, 8)
    left, right = np.asarray(picture)[4, 2], np.asarray(picture)[4, 13]
    # Lossy: red and blue within a few of 255.
    assert np.abs(left.astype(int) - (255, 0, 0)).max() < 12
    assert np.abs(right.astype(int) - (0, 0, 255)).max() < 12


def test_without_its_library_heic_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match=r"photo\.heic is HEIC, .* `pip install 'nacre\[heif\]'`"):
        decode_image(HEIC, origin="photo.heic")


NAMED: list[tuple[bytes, str]] = [
    # how it begins, what it is called
    (b"%PDF-1.7\n", "a PDF document"),
    (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript file"),
    (b"\xc5\xd0\xd3\xc6" + bytes(30), "an EPS file"),
    (b"8BPS\0\1" + bytes(30), "a Photoshop file"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    (b"\xef\xbb\xbf\n<?xml version='1.0'?><svg/>", "SVG"),
    (b"<!DOCTYPE html><html></html>", "a web page"),
    (b"\xff\x0a" + bytes(30), "JPEG XL"),
    (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(30), "JPEG XL"),
    (b"\0\0\0\x18ftypisom" + bytes(30), "a video"),
    (b"\0\0\0\x18ftypcrx " + bytes(30), "a raw picture of a camera"),
    (b"RIFF\0\0\0\0AVI LIST", "a video"),
    (b"\x1aE\xdf\xa3" + bytes(30), "a video"),
    (b"PK\3\4" + bytes(30), "a ZIP archive"),
    (b"\x93NUMPY\1\0", "a NumPy array"),
    (bytes(128) + b"DICM", "DICOM"),
    (b"SIMPLE  =                    T", "FITS"),
    (b"v/1\1" + bytes(30), "OpenEXR"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
    (b"MM\0+\0\x08\0\0" + bytes(30), "a BigTIFF"),
    (b"P7\nWIDTH 1\n", "PAM"),
]


@pytest.mark.parametrize(("content", "name"), NAMED, ids=[row[1] for row in NAMED])
def test_what_is_not_read_is_refused_by_its_name(content: bytes, name: str) -> None:
    with pytest.raises(ImageError, match=name) as caught:
        decode_image(content, origin="upload.png")
    assert "upload.png" in caught.value.message


def others() -> list[str]:
    """Return the formats that Pillow writes and nacre does not read."""
    Image.init()
    return sorted(set(Image.SAVE) - PILLOW_NAMES)


@pytest.mark.parametrize("kind", others())
def test_no_other_format_of_pillow_is_read(kind: str) -> None:
    for mode in ("RGB", "L", "1", "P", "F"):
        try:
            content = encoded(noise(mode, (32, 32)), kind)
        except (OSError, ValueError, KeyError):
            continue  # it has no such mode
        with pytest.raises(ImageError):
            decode_image(content, origin="upload")
        return
    pytest.skip(f"{kind} is written by a program that is not there")


def tiff(**tags: Any) -> bytes:
    return encoded(
        noise("RGB"), "TIFF", tiffinfo={int(tag[1:]): value for tag, value in tags.items()}
    )


def with_a_picture_inside(width: int) -> bytes:
    """Return a TIFF whose first directory names another one, of a square picture."""
    at = len(tiff(t330=1)) + 1 & ~1
    sizes = struct.pack("<HHIIHHI", 256, 4, 1, width, 257, 4, 1) + struct.pack("<I", width)
    return tiff(t330=at).ljust(at, b"\0") + struct.pack("<H", 2) + sizes + bytes(4)


PREVIEWS = {
    "DNG": tiff(t50706=b"\1\4\0\0"),
    "a page that is reduced": tiff(t254=1),
    "what a sensor saw": tiff(t262=32803),
    "a larger picture inside": with_a_picture_inside(900),
}


@pytest.mark.parametrize("name", PREVIEWS)
def test_a_preview_is_not_taken_for_the_picture(name: str) -> None:
    with pytest.raises(ImageError, match="a small preview as its first page"):
        decode_image(PREVIEWS[name], origin="photo")


def test_a_smaller_picture_inside_is_left_alone() -> None:
    assert decode_image(with_a_picture_inside(1), origin="slide").size == noise("RGB").size


def test_what_follows_the_first_page_is_not_looked_at() -> None:
    first, second = Image.new("RGB", (9, 7), "red"), Image.new("RGB", (2000, 2000))
    content = encoded(first, "TIFF", save_all=True, append_images=[second])
    assert decode_image(content, origin="scan").size == (9, 7)


def test_a_photo_of_two_pictures_gives_the_first() -> None:
    frames = {"save_all": True, "append_images": [Image.new("RGB", (4, 4), "blue")]}
    content = encoded(Image.new("RGB", (9, 7), "red"), "MPO", **frames)
    with Image.open(io.BytesIO(content)) as opened:
        assert opened.format == "MPO"
    assert decode_image(content, origin="photo").size == (9, 7)
