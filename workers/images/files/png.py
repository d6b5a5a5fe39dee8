"""PNG: chunks, each a length, a kind, data and a checksum."""

import zlib

from workers.images.files.essentials import Essentials, too_many
from workers.images.files.limits import ImageLimits

_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf"})
_PNG_COLORS = (b"\2", b"\4", b"\6")
_ORIENTING = (b"XML:com.adobe.xmp\0", b"Raw profile type exif\0")
_MOST_TEXT = 2**20


def png_essentials(content: bytes, limits: ImageLimits) -> Essentials:
    """See `essentials_of`."""
    kept, at = [content[:8]], 8
    for _ in range(limits.parts):
        length, kind = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        end = at + 12 + length
        if kind in _PNG_KEPT or _orients(kind, content[at + 8 : end - 4]):
            kept.append(content[at:end])
        if kind == b"IEND" or end >= len(content):
            is_wide = content[24:25] == b"\x10" and content[25:26] in _PNG_COLORS
            return Essentials(content=b"".join(kept), is_wide=is_wide)
        at = end
    raise too_many("chunks", limits)


def _orients(kind: bytes, data: bytes) -> bool:
    """Return whether a chunk of text may say which way up the picture is, and is not too long."""
    if not data.startswith(_ORIENTING):
        return False
    text = data.partition(b"\0")[2]
    if kind == b"zTXt":
        return _unpacks_to(text[1:], _MOST_TEXT)
    # A compressed iTXt is never XMP, which is to be found without unpacking.
    return kind == b"tEXt" or (kind == b"iTXt" and text[:1] == b"\0")


def _unpacks_to(packed: bytes, most: int) -> bool:
    unpacking = zlib.decompressobj()
    try:
        return len(unpacking.decompress(packed, most)) < most
    except zlib.error:
        return False
