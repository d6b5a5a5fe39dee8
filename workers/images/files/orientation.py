"""Orientation of a picture: from EXIF, or else from XMP, where either can be read."""

import re
from collections.abc import Mapping
from typing import Any

from PIL import Image

from workers.images.files.directory import read_directory

ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PREFIX = b"Exif\0\0"
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')


def upright(picture: Image.Image, orientation: int) -> Image.Image:
    """Return `picture` turned and mirrored as `orientation` says; unknown ones say nothing."""
    turn = _TURNS.get(orientation)
    return picture if turn is None else picture.transpose(turn)


def orientation_in(exif: bytes, xmp: bytes = b"") -> int:
    """Return the orientation, 1 to 8, that EXIF or else XMP gives; 1 where neither does.

    Args:
        exif: A TIFF block, which may begin with `Exif`.
        xmp: XML.
    """
    while exif.startswith(_PREFIX):
        exif = exif[len(_PREFIX) :]
    directory = read_directory(exif)
    if directory is not None and ORIENTATION in directory.entries:
        return directory.number(ORIENTATION, 1)
    found = _IN_XMP.search(xmp)
    return int(found[1]) if found else 1


def orientation_noted(info: Mapping[Any, Any]) -> int:
    """Return the orientation in what Pillow notes of a file."""
    exif = info.get("exif")
    if exif is None and "Raw profile type exif" in info:
        exif = _unpacked(info["Raw profile type exif"])
    xmp = info.get("XML:com.adobe.xmp") or info.get("xmp")
    return orientation_in(_as_bytes(exif), _as_bytes(xmp))


def _unpacked(profile: Any) -> bytes:
    """Return the bytes that ImageMagick has written into a PNG: three lines, then hexadecimal."""
    try:
        return bytes.fromhex("".join(str(profile).split("\n")[3:]))
    except ValueError:
        return b""


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode(errors="replace")
    return value if isinstance(value, bytes) else b""
