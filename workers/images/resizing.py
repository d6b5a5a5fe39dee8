"""Bounded resizing: what an encoder's transform would cut away of a long picture is never made.

open_clip's transforms resize a picture before they cut its middle out. A strip of 1 x 20,000 then
becomes 224 x 4,480,000 pixels, 4 GB, of which a square of 224 is used. Pictures for which all of
that stays within a limit are left as they are, so that their pixels are open_clip's to the bit. Of
others the middle alone is resized, with the same filter at the same places. Pillow takes places as
float32, so that few values differ, and by two of 255 at most. Where the whole picture is to be
seen, a side that is too long is averaged to a shorter one first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image

Mode = Literal[
    "shortest",  # the shorter side fits, and the middle is cut out
    "longest",  # the longer side fits, and the rest is filled
    "squash",  # both sides fit, whatever the proportions
]
_MODES: dict[str, Mode] = {"longest": "longest", "squash": "squash"}
_FILTERS = {"bilinear": Image.Resampling.BILINEAR}
_REACH = 3
"""Pixels that the widest of the filters (bicubic) reads on either side, and one for rounding."""
_AVERAGED_TO = 3.0
"""What Pillow says cannot be told from resizing at once."""
_WEIGHTS = 8
"""So many pixels have the bytes of the weights of one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fitting:
    """How pictures are fitted into the input of an encoder.

    Attributes:
        width: Of the input in pixels.
        height: Of the input in pixels.
        mode: What becomes of other proportions.
        filter: By which pixels are weighted.
    """

    width: int
    height: int
    mode: Mode
    filter: Image.Resampling


def fitting_of(
    size: int | Sequence[int], *, resize_mode: str | None, interpolation: str | None
) -> Fitting:
    """Return what open_clip does with `PreprocessCfg` of the same names.

    Args:
        size: Of the input in pixels: its side, or height and width.
        resize_mode: `shortest` where None.
        interpolation: `bilinear`; everything else is bicubic.
    """
    sides = [size] if isinstance(size, int) else list(size)
    mode = _MODES.get(resize_mode or "", "shortest")
    return Fitting(
        width=sides[-1],
        height=sides[0],
        mode=mode,
        filter=_FILTERS.get(interpolation or "", Image.Resampling.BICUBIC),
    )


def resizable(picture: Image.Image, fitting: Fitting, *, most: int) -> Image.Image:
    """Return `picture`, or where its resizing makes more than `most` pixels, a smaller one for it.

    The transform makes the same of both, as far as this module's head says.
    """
    if _is_bounded(picture, *_resized(picture, fitting), most):
        return picture
    if fitting.mode == "shortest":
        return _middle(picture, fitting)
    return _whole(picture, fitting)


def _resized(picture: Image.Image, fitting: Fitting) -> tuple[int, int]:
    """Return the width and height to which the transform resizes a picture."""
    width, height = picture.size
    if fitting.mode == "squash":
        return fitting.width, fitting.height
    if fitting.mode == "shortest" and fitting.width == fitting.height:
        side, shorter = fitting.width, min(width, height)
        long = int(side * max(width, height) / shorter)
        return (side, long) if width <= height else (long, side)
    ratios = (height / fitting.height, width / fitting.width)
    ratio = max(ratios) if fitting.mode == "longest" else min(ratios)
    return round(width / ratio), round(height / ratio)


def _is_bounded(picture: Image.Image, width: int, height: int, most: int) -> bool:
    """Return whether resizing to `width` and `height` makes no more than `most` pixels.

    Pillow resizes one side after the other, and computes the weights of all pixels of a side first.
    """
    made = max(width * picture.height, width * height, _WEIGHTS * max(picture.size))
    return width > 0 and height > 0 and made <= most


def _middle(picture: Image.Image, fitting: Fitting) -> Image.Image:
    """Return what is left of a picture once it is resized and its middle is cut out."""
    width, height = _resized(picture, fitting)
    across = _span(picture.width, width, fitting.width)
    down = _span(picture.height, height, fitting.height)
    near = picture.crop((across.near, down.near, across.far, down.far))

    def in_width(image: Image.Image) -> Image.Image:
        box = (across.start - across.near, 0, across.end - across.near, image.height)
        return image.resize((fitting.width, image.height), fitting.filter, box=box)

    def in_height(image: Image.Image) -> Image.Image:
        box = (0, down.start - down.near, image.width, down.end - down.near)
        return image.resize((image.width, fitting.height), fitting.filter, box=box)

    # Pillow's own order: the width first, unless the height shrinks by much more.
    if picture.height > picture.width and height < picture.height:
        return in_width(in_height(near))
    return in_height(in_width(near))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Span:
    """What is used of one side of a picture, in its pixels.

    Attributes:
        start: Where the cut begins.
        end: Where it ends.
        near: First pixel that the filter may read.
        far: The one after the last.
    """

    start: float
    end: float
    near: int
    far: int


def _span(whole: int, resized: int, cut: int) -> _Span:
    """Return what is used of a side of `whole` pixels when the middle `cut` of `resized` are."""
    scale = whole / resized
    start = round((resized - cut) / 2.0) * scale
    end = start + cut * scale
    reach = _REACH * max(scale, 1.0)
    return _Span(
        start=start,
        end=end,
        near=max(0, int(start - reach)),
        far=min(whole, int(end + reach) + 1),
    )


def _whole(picture: Image.Image, fitting: Fitting) -> Image.Image:
    """Return a picture resized as a whole, its sides averaged to a few times what they become.

    A side of which nothing would be left keeps one pixel.
    """
    width, height = _resized(picture, fitting)
    return picture.resize(
        (max(1, width), max(1, height)), fitting.filter, reducing_gap=_AVERAGED_TO
    )
