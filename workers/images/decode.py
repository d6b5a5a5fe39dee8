"""Image decoding with limits, for files that strangers send: one RGB picture, upright.

What is accepted: the formats of `workers.images.files.formats`, first frame only, turned by its
EXIF orientation, its values brought to bytes by the rules of `workers.images.ranges`. What is
refused: everything over the limits of `workers.images.files.limits`, truncated files, and values
whose range is not known. Whatever a library raises ends in one sentence that names the file.
"""

import io
import warnings

from PIL import Image
from PIL.ImageFile import ImageFile

from adapters.errors import ImageError
from workers.images.budget import Budget
from workers.images.files.by_format import essentials_of
from workers.images.files.essentials import Essentials
from workers.images.files.formats import AVIF, EXTENSIONS, HEIF, JPEG2000, Format, extension_of
from workers.images.files.limits import DEFAULT_LIMITS, ImageLimits
from workers.images.files.orientation import orientation_in, orientation_noted, upright
from workers.images.ranges import as_rgb
from workers.images.refusals import known_format, refusing

__all__ = [
    "DEFAULT_LIMITS",
    "EXTENSIONS",
    "ImageLimits",
    "OpenImage",
    "decode_image",
    "extension_of",
    "open_image",
]

_AT_ONCE = Budget(DEFAULT_LIMITS.pixels_at_once, uncounted=DEFAULT_LIMITS.short_pixels)
# Pillow warns of large pictures and odd metadata; the limits decide alone. Once for the process:
# changing filters around each image would not be safe between threads.
warnings.filterwarnings("ignore", module=r"PIL\.")


def decode_image(
    content: bytes, *, origin: str, limits: ImageLimits = DEFAULT_LIMITS
) -> Image.Image:
    """Return the picture in `content` as upright RGB.

    Args:
        content: The bytes of one image file.
        origin: Where the bytes came from; named in errors.
        limits: What is too large.

    Raises:
        ImageError: not an image, damaged, of an unknown range, or over a limit.
        UnavailableError: the machine has not the memory that the limits permit.
    """
    return open_image(content, origin=origin, limits=limits).decoded()


def open_image(content: bytes, *, origin: str, limits: ImageLimits = DEFAULT_LIMITS) -> "OpenImage":
    """Return the image in `content`, of which the head alone has been read.

    The arguments and errors are those of `decode_image`.
    """
    if not content:
        raise ImageError(f"expected an image in {origin}, found an empty file", origin=origin)
    if len(content) > limits.size_bytes:
        raise ImageError(
            f"expected an image of at most {limits.size_bytes} bytes, found {len(content)} bytes "
            f"in {origin}; send a smaller one",
            origin=origin,
        )
    kind = known_format(content, origin)
    with refusing(kind, origin, limits):
        found = essentials_of(content, kind, limits)
        picture = kind.opener(io.BytesIO(found.content))
        _check_pixels(picture, kind, origin, limits)
        return OpenImage(picture, found, kind, origin=origin, limits=limits)


class OpenImage:
    """An image whose head has been read.

    Attributes:
        pixels: Width times height.
        is_short: Whether it is decoded in about a tenth of a second.
    """

    # Owns: the file, until it is decoded.

    def __init__(
        self,
        picture: ImageFile,
        essentials: Essentials,
        kind: Format,
        *,
        origin: str,
        limits: ImageLimits,
    ) -> None:
        self.pixels = picture.width * picture.height
        self.is_short = self.pixels * kind.slowness <= limits.short_pixels
        self._pictures: list[Image.Image] = [picture]
        self._essentials = essentials
        self._kind = kind
        self._origin = origin
        self._limits = limits

    def decoded(self) -> Image.Image:
        """Return the picture, once; see `decode_image`."""
        with refusing(self._kind, self._origin, self._limits), _AT_ONCE.taking(self.pixels):
            picture = self._pictures.pop()
            picture.load()
            # Some files turn out larger than their heads say.
            _check_pixels(picture, self._kind, self._origin, self._limits)
            orientation = self._orientation(picture)
            found = self._essentials
            # The name is taken over, so that no more than two of the pictures exist at a time.
            picture = as_rgb(
                picture, bits=found.bits, is_inverted=found.is_inverted, is_wide=found.is_wide
            )
            return upright(picture, orientation)

    def _orientation(self, picture: Image.Image) -> int:
        if self._kind is HEIF:
            return 1  # the library has turned it as the container says
        if self._kind is AVIF:
            return orientation_noted({"exif": picture.info.get("exif")})
        exif, xmp = self._essentials.exif, self._essentials.xmp
        return orientation_in(exif, xmp) if exif or xmp else orientation_noted(picture.info)


def _check_pixels(picture: Image.Image, kind: Format, origin: str, limits: ImageLimits) -> None:
    width, height = picture.size
    most = min(limits.pixels, limits.jpeg2000_pixels) if kind is JPEG2000 else limits.pixels
    if width * height > most:
        raise ImageError(
            f"expected at most {most} pixels, found {width} x {height} in {origin}; send a smaller "
            "picture",
            origin=origin,
        )
    if not (min(width, height) > 0 and max(width, height) <= limits.side_pixels):
        raise ImageError(
            f"expected an image with sides of 1 to {limits.side_pixels} pixels, found {width} x "
            f"{height} in {origin}; cut it to pieces",
            origin=origin,
        )
