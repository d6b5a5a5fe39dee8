"""Appearance of files: whether one looks like a picture, by its name and by its first bytes."""

import re
from enum import Enum, auto
from pathlib import PurePosixPath
from typing import NamedTuple

from workers.images.files.formats import BMP, EXTENSIONS, PPM, TIFF, format_of
from workers.images.files.other_formats import ANSWER, JSON, VIDEO, what_is_not_read
from workers.images.files.raw import RAW, RAW_EXTENSIONS, is_raw

BEGINNING_BYTES = 1024
"""What is looked at."""

_BMP_HEADERS = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_PPM = re.compile(rb"P[1-6f]\s+[-#0-9]")
_NO_PICTURES = frozenset(
    {
        *("a pointer of Git LFS", "a PDF document", VIDEO, "a web page", "HDF5", ANSWER),
        *("a NumPy array", "a ZIP archive", "a gzip archive", "a 7z archive", "a RAR archive"),
        *("a resource fork of macOS", "a document of an office program"),
    }
)
_BY_NAME = {
    # pictures whose first bytes say little, or are those of other files
    **dict.fromkeys(RAW_EXTENSIONS, RAW),
    **dict.fromkeys((".tga", ".icb", ".vda", ".vst"), "TGA"),
    **{".svgz": "SVG", ".pcx": "PCX", ".kra": "a Krita file", ".ora": "an OpenRaster file"},
    **dict.fromkeys((".sketch", ".afphoto", ".afdesign", ".cdr", ".clip"), "a drawing"),
    # a photograph of 160 pixels that cameras put beside each video
    ".thm": "a preview of a video",
}


class Looks(Enum):
    """What a file looks like."""

    IMAGE = auto()  # a picture in a format that is read, whether or not its library is there
    PICTURE = auto()  # a picture in another format
    EMPTY = auto()
    OTHER = auto()


class Appearance(NamedTuple):
    """What a file looks like, and the name of its kind."""

    looks: Looks
    kind: str


def is_image(name: str) -> bool:
    """Return whether a file's extension is that of an image that is read."""
    return PurePosixPath(name).suffix.lower() in EXTENSIONS


def extension(name: str) -> str:
    """Return the extension of a file, as kinds of files are named."""
    return PurePosixPath(name).suffix.lower() or "without extension"


def appearance_of(name: str, beginning: bytes) -> Appearance:
    """Return what a file looks like.

    Args:
        name: Of the file.
        beginning: Its first `BEGINNING_BYTES`.
    """
    if not beginning:
        return Appearance(Looks.EMPTY, extension(name))
    named = _BY_NAME.get(extension(name))
    kind = format_of(beginning)
    if kind is TIFF and (named == RAW or is_raw(beginning)):
        return Appearance(Looks.PICTURE, RAW)
    if kind is not None and _is_certain(kind.name, beginning) and extension(name) != ".thm":
        return Appearance(Looks.IMAGE, kind.name)
    if named is not None:
        return Appearance(Looks.PICTURE, named)
    known = what_is_not_read(beginning)
    if known is None or known[0] == JSON:
        return Appearance(Looks.OTHER, extension(name))
    if "XML" in known[0]:
        # Annotations are XML as often as not.
        is_drawing = b"<svg" in beginning.lower()
        return Appearance(
            *((Looks.PICTURE, "SVG") if is_drawing else (Looks.OTHER, extension(name)))
        )
    is_picture = known[0] not in _NO_PICTURES
    return Appearance(Looks.PICTURE if is_picture else Looks.OTHER, known[0])


def _is_certain(kind: str, beginning: bytes) -> bool:
    """Return whether no text begins so; of some formats the first two letters say all."""
    if kind == BMP.name:
        return int.from_bytes(beginning[14:18], "little") in _BMP_HEADERS
    if kind == PPM.name:
        return _PPM.match(beginning) is not None
    return True
