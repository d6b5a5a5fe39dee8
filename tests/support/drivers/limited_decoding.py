"""A process with little memory that decodes costly files, and writes a line of JSON for each.

Its address space is what it has after the imports, and so much more as one picture of the largest
kind may take. Each file is read as a replica reads it, up to the encoder's pixels.
"""

import json
import resource
import sys
import time

from adapters.errors import ImageError
from tests.support.drivers.own_memory import forget_peak, status_bytes
from tests.support.scenes.pictures import COSTLY
from workers.images.decode import DEFAULT_LIMITS, decode_image
from workers.images.pixels import PixelTransform

BYTES_PER_PIXEL = 20
FIXED_BYTES = 256 * 2**20
"""Copies of the largest file, what resizing makes, and stacks and pools of decoding threads."""
SIDE = 224


def main() -> None:
    """Decode every costly file, and say what came of it and what it cost."""
    config = {"size": SIDE, "mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bicubic"}
    transform = PixelTransform(config | {"resize_mode": "shortest"})
    files = {name: costly.make() for name, costly in COSTLY.items()}
    allowed = BYTES_PER_PIXEL * DEFAULT_LIMITS.pixels + FIXED_BYTES
    most = status_bytes("VmSize") + allowed
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for name, content in files.items():
        before, started = forget_peak(), time.process_time()
        try:
            shape = list(transform(decode_image(content, origin=name)).shape)
            found: dict[str, object] = {"shape": shape}
        except ImageError as error:
            found = {"message": error.message}
        peak = status_bytes("VmHWM") - before
        cost = {"peak_bytes": peak, "cpu_s": round(time.process_time() - started, 3)}
        sys.stdout.write(
            json.dumps({"name": name, "size_bytes": len(content)} | found | cost) + "\n"
        )


if __name__ == "__main__":
    main()
