"""A JPEG of the size and weight of a photograph, drawn from a seed."""

import io
import random

from PIL import Image, ImageFilter

MOST_BYTES = 82_000


def photograph(seed: int = 0) -> bytes:
    """Return a picture of 640 by 480 pixels that has about 80 kB as a JPEG."""
    draw = random.Random(seed)
    noise = Image.frombytes("RGB", (640, 480), draw.randbytes(640 * 480 * 3))
    picture = noise.filter(ImageFilter.GaussianBlur(1.5))
    best: bytes = b""
    for quality in range(95, 20, -1):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality)
        best = buffer.getvalue()
        if len(best) <= MOST_BYTES:
            return best
    return best
