"""GIF: a palette, extensions of many blocks, and the first frame."""

import re

from workers.images.files.essentials import Essentials, too_many
from workers.images.files.limits import ImageLimits

_NEXT_PART = re.compile(rb"[,!;]")
_FRAME_SETTINGS = 0xF9


def gif_essentials(content: bytes, limits: ImageLimits) -> Essentials:
    """See `essentials_of`."""
    has_palette, bits = content[10:11] > b"\x7f", int.from_bytes(content[10:11]) & 7
    at = 13 + (3 << (bits + 1)) * has_palette
    kept, parts = [content[:at]], 0
    while parts < limits.parts:
        found = _NEXT_PART.search(content, at)
        if found is None:
            return Essentials(content=b"".join(kept))
        start = found.start()
        if found[0] != b"!":
            return Essentials(content=b"".join([*kept, content[start:]]))
        at = start + 2
        while (length := int.from_bytes(content[at : at + 1])) and parts < limits.parts:
            at, parts = at + 1 + length, parts + 1
        at, parts = at + 1, parts + 1
        if content[start + 1 : start + 2] == bytes([_FRAME_SETTINGS]):
            kept.append(content[start:at])
    raise too_many("blocks", limits)
