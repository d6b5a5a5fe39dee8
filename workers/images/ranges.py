"""Ranges of pixels: how values that are no bytes become bytes, the same in training and answers.

- Bytes are taken as they are.
- Whole grey numbers of 16 and 32 bits: a file that says that it uses fewer than 16 bits, as TIFF,
  PGM and JPEG 2000 can, is believed. Elsewhere the largest value says: the range is the smallest of
  8, 10, 12, 14 and 16 bits that holds it. Microscopes, X-ray machines and depth cameras put their
  10, 12 or 14 bits into files of 16 without saying so; read by the full range, these are black.
  Values are shifted down, as scikit-image's `img_as_ubyte` and Pillow's 16-bit colors are, so that
  the full range gives what it always gave. Nothing is stretched to its own minimum and maximum: how
  bright a picture is stays known to the factor of four between two ranges.
- Colors of 16 bits: the upper eight, since Pillow keeps no others. Where all of them are below a
  quarter of white, the picture is dark or has 14 bits or less; nobody can tell, and it is refused.
- Floating point: 0 to 1, or 0 to 255 where the largest value is at least 32. What lies between
  could be either and is refused.
- Negative, larger, not finite: refused, since any range would be a guess.
- Transparency becomes white; color profiles are not applied, as open_clip applies none.

Pictures are worked on in bands of rows, so that nothing of their size is made besides the result.
"""

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image

_BAND_PIXELS = 2**20
_RANGES_BITS = (8, 10, 12, 14, 16)
_HALF_STEP = 0.5 / 255
"""Floating point may leave 0 to 1 by so much, which rounds to the same bytes."""
_BRIGHT = 32.0
_DARK_BYTE = 64
"""Below are the upper bytes of 14 bits in 16."""
_COLORS = frozenset({"R", "G", "B", "L"})
_STRAIGHT = {"RGBA": "RGBA", "RGBa": "RGBA", "LA": "LA", "La": "LA", "PA": "PA"}
"""Modes with transparency, and the same with colors that are not multiplied by it."""
_REMEDY = "scale its values to 0 to 255 and save it as an 8-bit PNG"


class UnknownRangeError(Exception):
    """Nobody can tell what is black and what is white; the message ends a sentence."""


def as_rgb(
    picture: Image.Image,
    *,
    bits: int | None = None,
    is_inverted: bool = False,
    is_wide: bool = False,
) -> Image.Image:
    """Return a decoded picture of any mode in RGB, transparency on white.

    Args:
        picture: As Pillow has decoded it.
        bits: Bits of a whole grey value of more than 8 bits, where the file says so.
        is_inverted: Whether its grey values of more than 8 bits have black for the largest one.
        is_wide: Whether its colors had 16 bits in the file.

    Raises:
        UnknownRangeError: the range of the values is not known.
    """
    if picture.mode == "F" or picture.mode.startswith("I"):
        return _grey(picture, bits, is_inverted).convert("RGB")
    if is_wide:
        _check_brightness(picture)
    if picture.mode in _STRAIGHT or "transparency" in picture.info:
        return _on_white(picture, is_wide)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _grey(picture: Image.Image, bits: int | None, is_inverted: bool) -> Image.Image:
    scale = _scale(picture, bits)
    rounding = 0.5 if picture.mode == "F" else 0.0
    hole = picture.info.get("transparency")
    grey = Image.new("L", picture.size)
    for top, band in _bands(picture):
        values = np.asarray(band)
        # Whole numbers lose their lower bits; floating point is rounded.
        shown = (values * scale + rounding).clip(0, 255).astype(np.uint8)
        shown = 255 - shown if is_inverted else shown
        if isinstance(hole, int):
            shown[values == hole] = 255
        grey.paste(Image.fromarray(shown), (0, top))
    return grey


def _scale(picture: Image.Image, bits: int | None) -> float:
    """Return what makes bytes of the values of a grey picture."""
    lowest, highest = _extremes(picture)
    if not (math.isfinite(lowest) and math.isfinite(highest)):
        raise UnknownRangeError("values that are not finite; repair them and " + _REMEDY)
    if picture.mode == "F":
        return _float_scale(lowest, highest)
    return 2.0 ** (8 - _used_bits(int(lowest), int(highest), bits))


def _extremes(picture: Image.Image) -> tuple[float, float]:
    """Return the smallest and the largest value; not a number where one of them is none."""
    arrays = (np.asarray(band) for _, band in _bands(picture))
    found = np.array([(values.min(), values.max()) for values in arrays], dtype=np.float64)
    return float(found[:, 0].min()), float(found[:, 1].max())


def _used_bits(lowest: int, highest: int, bits: int | None) -> int:
    if lowest < 0 or highest >= 2**16:
        raise UnknownRangeError(
            f"whole numbers from {lowest} to {highest}, whose range is not known; {_REMEDY}"
        )
    if bits is not None and highest < 2**bits:
        return max(bits, 8)
    return next(used for used in _RANGES_BITS if highest < 2**used)


def _float_scale(lowest: float, highest: float) -> float:
    if lowest >= -_HALF_STEP and highest <= 1 + _HALF_STEP:
        return 255.0
    if lowest >= -0.5 and _BRIGHT <= highest <= 255.5:
        return 1.0
    raise UnknownRangeError(
        f"numbers from {lowest:g} to {highest:g}, where 0 to 1 or 0 to 255 was expected; {_REMEDY}"
    )


def _check_brightness(picture: Image.Image) -> None:
    colors = len([band for band in picture.getbands() if band in _COLORS])
    arrays = (np.asarray(band)[..., :colors] for _, band in _bands(picture))
    if colors and max(values.max() for values in arrays) < _DARK_BYTE:
        raise UnknownRangeError(
            "colors of 16 bits that all are below a quarter of white: a dark picture, or one of 14 "
            f"bits or less; {_REMEDY}"
        )


def _on_white(picture: Image.Image, is_wide: bool) -> Image.Image:
    hole = picture.info.get("transparency")
    if is_wide and isinstance(hole, tuple):
        picture.info["transparency"] = tuple(value >> 8 for value in hole)
    result = Image.new("RGB", picture.size)
    for top, band in _bands(picture):
        straight = band.convert(_STRAIGHT.get(band.mode, band.mode))
        white = Image.new("RGBA", band.size, "white")
        shown = Image.alpha_composite(white, straight.convert("RGBA"))
        result.paste(shown.convert("RGB"), (0, top))
    return result


def _bands(picture: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield the rows of a picture, some at a time, and where they begin."""
    rows = max(1, _BAND_PIXELS // picture.width)
    for top in range(0, picture.height, rows):
        yield top, picture.crop((0, top, picture.width, min(top + rows, picture.height)))
