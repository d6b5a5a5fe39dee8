"""TIFF: directories of entries, of which the first is that of the first page."""

from workers.images.files.directory import Directory, read_directory
from workers.images.files.essentials import Essentials, RefusedError, too_many
from workers.images.files.limits import ImageLimits
from workers.images.files.raw import is_raw_directory

_BITS, _PHOTOMETRIC, _TILE_WIDTH, _TILE_LENGTH = 258, 262, 322, 323
_SAMPLES, _SAMPLE_FORMAT, _SIGNED = 277, 339, 2
_XMP_TAG = 700
_TIFF_KEPT = frozenset(
    {256, 257, _BITS, 259, _PHOTOMETRIC, 266, 273, _SAMPLES, 278, 279, 284, 292, 293, 317, 320}
    | {_TILE_WIDTH, _TILE_LENGTH, 324, 325, 332, 338, 347, *range(512, 522), 529, 530, 531}
    | {532, _SAMPLE_FORMAT, 50674}
)
"""Sizes, layout, compression, palette and color coding."""


def tiff_essentials(content: bytes, limits: ImageLimits) -> Essentials:
    """See `essentials_of`."""
    directory = read_directory(content)
    if directory is None:
        return Essentials(content=content)
    _check_directory(directory, limits)
    bits = directory.numbers(_BITS) or (1,)
    return Essentials(
        content=directory.with_only(_TIFF_KEPT),
        exif=content,
        xmp=directory.data(_XMP_TAG),
        bits=bits[0] if bits[0] < 16 else None,
        is_wide=bits[0] == 16 and directory.number(_SAMPLES, 1) > 1,
        is_inverted=directory.number(_PHOTOMETRIC, 1) == 0,
    )


def _check_directory(directory: Directory, limits: ImageLimits) -> None:
    if is_raw_directory(directory):
        raise RefusedError(
            "a small preview as its first page, or what a sensor saw, as raw pictures of cameras "
            "have",
            "develop it to JPEG or PNG",
        )
    if directory.number(_BITS, 1) <= 8 and directory.number(_SAMPLE_FORMAT, 1) == _SIGNED:
        raise RefusedError(
            "values with a sign, whose range is not known", "scale them to 0 to 255 without one"
        )
    kept = [entry for tag, entry in directory.entries.items() if tag in _TIFF_KEPT]
    if any(entry.count > limits.parts for entry in kept):
        raise too_many("strips or tiles", limits)
    tile = directory.number(_TILE_WIDTH, 0), directory.number(_TILE_LENGTH, 0)
    if tile[0] * tile[1] > limits.tile_pixels:
        raise RefusedError(f"tiles of {tile[0]} x {tile[1]} pixels")
