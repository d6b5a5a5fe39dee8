"""Essentials of an image file: the file without all that its pixels do not depend on.

Pillow reads everything that stands before the pixels, one piece after the other, before it is asked
for any of it: a JPEG of five million empty comments takes 14 s, a TIFF of 20 MiB with a strip for
each of its few pixels 55 s and 860 MB, and a PNG whose text is too long is refused. Color profiles,
comments, previews and later frames do not matter here. So they are left out first, and what has
more pieces than any picture has use for is refused.
"""

from dataclasses import dataclass

from workers.images.files.limits import ImageLimits


@dataclass(frozen=True, kw_only=True, slots=True)
class Essentials:
    """What is left of a file.

    Attributes:
        content: The file as it is to be decoded.
        exif: Its EXIF, where that was taken out.
        xmp: Its XMP, where that was taken out.
        bits: Bits of a decoded grey value of more than 8, where the file says so.
        is_inverted: Whether white is zero; Pillow heeds it up to 8 bits and forgets it above.
        is_wide: Whether its colors have 16 bits.
    """

    content: bytes
    exif: bytes = b""
    xmp: bytes = b""
    bits: int | None = None
    is_inverted: bool = False
    is_wide: bool = False


class RefusedError(Exception):
    """A file has too much of something, or what is not read.

    Args:
        found: What it has; the rest of a sentence that begins with the file.
        remedy: What to do about it.
    """

    def __init__(self, found: str, remedy: str = "") -> None:
        super().__init__(found)
        self.remedy = remedy


def too_many(pieces: str, limits: ImageLimits) -> RefusedError:
    """Return the refusal of a file that has more of some pieces than any picture has use for."""
    return RefusedError(f"more than {limits.parts} {pieces}")
