"""JPEG: segments, each a marker, its length and its data; then scans."""

import re

from workers.images.files.essentials import Essentials, RefusedError, too_many
from workers.images.files.limits import ImageLimits

_FILL = re.compile(rb"\xff+")
_AFTER_DATA = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
_ALONE = frozenset({0x00, 0x01, *range(0xD0, 0xDA)})
"""Markers without data; 0 is an escaped byte, and no marker."""
_SCAN, _END = 0xDA, 0xD9
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_KEPT = frozenset({*range(0xC0, 0xD0), 0xDB, 0xDC, 0xDD, 0xDE, 0xDF, 0xE0, 0xEE})
"""Tables, frames, and the two application segments that say how colors are coded."""


def jpeg_essentials(content: bytes, limits: ImageLimits) -> Essentials:
    """See `essentials_of`."""
    kept, exif, xmp = [content[:2]], b"", b""
    at = 2
    for _ in range(limits.parts):
        fill = _FILL.search(content, at)
        if fill is None or fill.end() == len(content):
            break
        marker, at = content[fill.end()], fill.end() + 1
        if marker in _ALONE:
            continue
        if marker == _SCAN:
            kept.append(content[at - 2 : _end_of_scans(content, at, limits)])
            return Essentials(content=b"".join(kept), exif=exif, xmp=xmp)
        end = at + int.from_bytes(content[at : at + 2])
        data = content[at + 2 : end]
        if marker in _JPEG_KEPT:
            kept.append(content[at - 2 : end])
        elif marker == 0xE1 and not exif and data.startswith(_EXIF):
            exif = data
        elif marker == 0xE1 and not xmp and data.startswith(_XMP):
            xmp = data
        at = max(end, at + 2)
    else:
        raise too_many("segments", limits)
    return Essentials(content=b"".join(kept))


def _end_of_scans(content: bytes, at: int, limits: ImageLimits) -> int:
    """Return where the picture ends whose first scan begins with the data at `at`."""
    scans, marker = 1, _SCAN
    for _ in range(limits.parts):
        if marker not in _ALONE:
            at += int.from_bytes(content[at : at + 2])
        found = _AFTER_DATA.search(content, at)
        if found is None:
            return len(content)
        at, marker = found.end(), content[found.end() - 1]
        if marker == _END:
            return at
        scans += marker == _SCAN
        if scans > limits.scans:
            raise RefusedError(f"more than {limits.scans} scans")
    raise too_many("segments", limits)
