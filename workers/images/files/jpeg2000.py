"""JPEG 2000: a code stream, whose first segment says how many bits the samples have."""

from workers.images.files.essentials import Essentials, RefusedError
from workers.images.files.limits import ImageLimits

_CODE_STREAM = b"\xff\x4f\xff\x51"
_COMPONENTS_AT, _BITS_AT = 40, 42
_BOX, _END = b"jp2c", b"\xff\xd9"


def jpeg2000_essentials(content: bytes, limits: ImageLimits) -> Essentials:
    """See `essentials_of`."""
    del limits
    start = content.find(_CODE_STREAM)
    if not content[start : _end(content, start)].rstrip(b"\0").endswith(_END):
        raise RefusedError("no end: it is cut off")
    bits = 1 + (int.from_bytes(content[start + _BITS_AT : start + _BITS_AT + 1]) & 0x7F)
    components = content[start + _COMPONENTS_AT : start + _BITS_AT]
    has_16_bits = start >= 0 and bits == 16
    # Pillow brings grey values of more than 8 bits to 16.
    is_wide = has_16_bits and components != b"\0\1"
    return Essentials(content=content, bits=None if has_16_bits else 16, is_wide=is_wide)


def _end(content: bytes, start: int) -> int:
    """Return where the code stream at `start` ends, as the box around it says where there is one.

    The library decodes what is there of one that is cut off, and says nothing.
    """
    size = int.from_bytes(content[start - 8 : start - 4])
    in_box = start >= 8 and content[start - 4 : start] == _BOX and size > 1
    return start - 8 + size if in_box else len(content)
