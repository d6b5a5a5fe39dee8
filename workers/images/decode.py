"""Image decoding with limits, for files that strangers send: one RGB picture, upright.

What is accepted: the formats below, first frame only, turned by its EXIF orientation. What
is refused: files over the byte limit, pictures over the pixel limit, and anything truncated.
"""

import io
import warnings
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

from adapters.errors import ImageError

# Only these are ever tried: Pillow knows others that start programs of their own.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm"})


_BEGINNINGS = (
    (b"\xff\xd8", ".jpg"),
    (b"\x89PNG", ".png"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II", ".tif"),
    (b"MM", ".tif"),
    (b"P", ".ppm"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageLimits:
    """The largest image that is read.

    Attributes:
        size_bytes: Most bytes in the file.
        pixels: Most pixels (width times height) in the picture.
    """

    size_bytes: int = 20 * 2**20
    pixels: int = 50_000_000


DEFAULT_LIMITS = ImageLimits()
# What Pillow raises for damaged files of one kind or another.
_UNDECODABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    NotImplementedError,
    Image.DecompressionBombError,
)
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
        ImageError: not an image, damaged, or over a limit.
    """
    if not content:
        raise ImageError(f"expected an image in {origin}, found an empty file", origin=origin)
    if len(content) > limits.size_bytes:
        raise ImageError(
            f"expected an image of at most {limits.size_bytes} bytes, found {len(content)} bytes "
            f"in {origin}; send a smaller one",
            origin=origin,
        )
    try:
        return _decode(content, origin, limits)
    except UnidentifiedImageError as error:
        raise ImageError(
            f"expected an image in {origin}, found {len(content)} bytes in no known image format",
            origin=origin,
        ) from error
    except _UNDECODABLE as error:
        raise ImageError(
            f"the image in {origin} cannot be decoded ({error}); replace it by an intact copy",
            origin=origin,
        ) from error


def extension_of(content: bytes) -> str:
    """Return the extension that an image file should have, by how its bytes begin."""
    if content[8:12] == b"WEBP":
        return ".webp"
    for beginning, extension in _BEGINNINGS:
        if content.startswith(beginning):
            return extension
    return ".img"


def _decode(content: bytes, origin: str, limits: ImageLimits) -> Image.Image:
    with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
        width, height = picture.size
        if width * height > limits.pixels:
            raise ImageError(
                f"expected at most {limits.pixels} pixels, found {width} x {height} in {origin}; "
                "send a smaller picture",
                origin=origin,
            )
        picture.load()
        ImageOps.exif_transpose(picture, in_place=True)
        return _as_rgb(picture)


def _as_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode in {"I", "I;16", "I;16B", "I;16L"}:
        # Pillow clips 16-bit grey to white; keep the upper eight bits instead.
        hole = picture.info.get("transparency")
        picture = picture.convert("I").point(lambda value: value / 256).convert("L")
        if isinstance(hole, int):
            picture.info["transparency"] = hole // 256
    if picture.mode in {"RGBA", "LA", "PA"} or "transparency" in picture.info:
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")
