"""PPM, PGM, PBM and PFM: numbers as text, among spaces and comments of any length."""

import re

from workers.images.files.essentials import Essentials, RefusedError
from workers.images.files.limits import ImageLimits

_NEXT = rb"(?:[ \t\n\x0b\x0c\r]|#[^\r\n]*[\r\n])+"
_PPM_HEAD = re.compile(
    rb"P(?:[14](?:%s\d+){2}|[2356f](?:%s[\d.eE+-]+){2}%s([\d.eE+-]+))\s" % (_NEXT, _NEXT, _NEXT)
)


def ppm_essentials(content: bytes, limits: ImageLimits) -> Essentials:
    """See `essentials_of`."""
    if content[1:2] in b"123" and len(content) > limits.plain_bytes:
        raise RefusedError(f"more than {limits.plain_bytes} bytes written as text")
    head = _PPM_HEAD.match(content[: limits.parts])
    if head is None and len(content) > limits.parts:
        raise RefusedError(f"a head of more than {limits.parts} bytes")
    has_16_bits = head is not None and head[1] == b"65535"
    # Pillow brings other grey values of more than 8 bits to 16.
    return Essentials(content=content, bits=None if has_16_bits else 16, is_wide=has_16_bits)
