"""Formats of image files: told by their first bytes, read by one class of Pillow each, or refused.

Only the classes named here are ever used. Pillow knows forty formats more, of which some start
programs of their own (EPS runs Ghostscript), some show a preview in place of the picture, and few
have been looked at with files of strangers in mind.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, BinaryIO

from PIL import features
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

Opener = Callable[[BinaryIO], ImageFile]


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One format of image files.

    Attributes:
        name: As people know it.
        extensions: Of its files; shards use the first one.
        opener: Reads the head of a file.
        feature: What Pillow must have been built with, as `PIL.features` names it.
        remedy: What to do where it is not there.
        slowness: How many times as long as others it takes to decode.
    """

    name: str
    extensions: tuple[str, ...]
    opener: Opener
    feature: str = ""
    remedy: str = ""
    slowness: int = 1

    @property
    def is_there(self) -> bool:
        """Whether the library that reads it is installed."""
        if self is HEIF:
            return _heif_class() is not None
        return not self.feature or bool(features.check(self.feature))


def _open_heif(file: BinaryIO) -> ImageFile:
    found: ImageFile = _heif_class()(file)
    return found


def _heif_class() -> Any:
    """Return the class that reads HEIF; None where it is not installed, or too old.

    Versions before 1.8, and `pi-heif` at its end, let a damaged file end the process.
    """
    try:
        library = import_module("pillow_heif")
    except ImportError:
        return None
    major, minor, *_ = map(int, re.findall(r"\d+", library.__version__))
    return library.HeifImageFile if (major, minor) >= (1, 8) else None


_WHEEL = "install Pillow 11.3 or newer from its wheels"
JPEG = Format(name="JPEG", extensions=(".jpg", ".jpeg", ".jpe", ".jfif"), opener=JpegImageFile)
PNG = Format(name="PNG", extensions=(".png",), opener=PngImageFile)
GIF = Format(name="GIF", extensions=(".gif",), opener=GifImageFile)
BMP = Format(name="BMP", extensions=(".bmp",), opener=BmpImageFile)
TIFF = Format(name="TIFF", extensions=(".tif", ".tiff"), opener=TiffImageFile)
PPM = Format(name="PPM", extensions=(".ppm", ".pgm", ".pbm", ".pnm", ".pfm"), opener=PpmImageFile)
WEBP = Format(
    name="WebP", extensions=(".webp",), opener=WebPImageFile, feature="webp", remedy=_WHEEL
)
AVIF = Format(
    name="AVIF", extensions=(".avif",), opener=AvifImageFile, feature="avif", remedy=_WHEEL
)
JPEG2000 = Format(
    name="JPEG 2000",
    extensions=(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    opener=Jpeg2KImageFile,
    feature="jpg_2000",
    remedy=_WHEEL,
    slowness=5,
)
HEIF = Format(
    name="HEIC",
    extensions=(".heic", ".heif", ".hif"),
    opener=_open_heif,
    remedy="install it with `pip install 'nacre[heif]'`",
)
READ = (JPEG, PNG, WEBP, GIF, BMP, TIFF, PPM, AVIF, JPEG2000, HEIF)
EXTENSIONS = frozenset(extension for kind in READ for extension in kind.extensions)

_BOX = b"\0\0\0\x0c"
_BEGINNINGS: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8", JPEG),
    (b"\x89PNG", PNG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"BM", BMP),
    *((start, TIFF) for start in (b"II*\0", b"MM\0*", b"II+\0", b"II\0*", b"MM*\0")),
    *((b"P" + kind, PPM) for kind in (b"1", b"2", b"3", b"4", b"5", b"6", b"f")),
    (b"\xff\x4f\xff\x51", JPEG2000),
    (_BOX + b"jP  \r\n\x87\n", JPEG2000),
)
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})


def format_of(content: bytes) -> Format | None:
    """Return the format in which a file is written, by how it begins; None where it is not read."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return WEBP
    brands = _brands(content)
    if brands & _AVIF_BRANDS:
        return AVIF
    if brands & _HEIC_BRANDS:
        return HEIF
    return next((kind for start, kind in _BEGINNINGS if content.startswith(start)), None)


def extension_of(content: bytes) -> str:
    """Return the extension that an image file should have, by how its bytes begin."""
    kind = format_of(content)
    return kind.extensions[0] if kind else ".img"


def _brands(content: bytes) -> set[bytes]:
    """Return the brands in the first box of an ISO media file: what its writer says it is."""
    if content[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(content[:4], "big"), 256)
    major, minor_end = content[8:12], 16
    listed = {content[at : at + 4] for at in range(minor_end, end - 3, 4)}
    # `mif1` and `msf1` say what kind of container it is, and not what is in it.
    return {major} if major in _AVIF_BRANDS | _HEIC_BRANDS else {major} | listed
