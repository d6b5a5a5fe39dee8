"""The essentials of a file by its format."""

from collections.abc import Callable

from workers.images.files.essentials import Essentials
from workers.images.files.formats import GIF, JPEG, JPEG2000, PNG, PPM, TIFF, Format
from workers.images.files.gif import gif_essentials
from workers.images.files.jpeg import jpeg_essentials
from workers.images.files.jpeg2000 import jpeg2000_essentials
from workers.images.files.limits import ImageLimits
from workers.images.files.png import png_essentials
from workers.images.files.ppm import ppm_essentials
from workers.images.files.tiff import tiff_essentials

_OF_FORMAT: dict[str, Callable[[bytes, ImageLimits], Essentials]] = {
    JPEG.name: jpeg_essentials,
    PNG.name: png_essentials,
    GIF.name: gif_essentials,
    PPM.name: ppm_essentials,
    JPEG2000.name: jpeg2000_essentials,
    TIFF.name: tiff_essentials,
}


def essentials_of(content: bytes, kind: Format, limits: ImageLimits) -> Essentials:
    """Return what the pixels of a file depend on.

    A file that is damaged stays damaged: whoever decodes it says how. BMP has nothing to leave out,
    and what WebP, AVIF and HEIC carry is passed over by their libraries.

    Raises:
        RefusedError: it has more pieces than the limits allow, or is only the preview of a picture.
    """
    of_format = _OF_FORMAT.get(kind.name)
    return of_format(content, limits) if of_format else Essentials(content=content)
