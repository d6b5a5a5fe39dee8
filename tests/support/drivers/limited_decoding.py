"""A process with little memory that decodes costly files, and writes a line of JSON for each.

Its address space is what it has after the imports, and so much more as one picture of the largest
kind may take. Each file is read as a replica reads it, up to the encoder's pixels.
"""

import ctypes
import json
import resource
import sys
import time
from pathlib import Path

from adapters.errors import ImageError
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
    most = _status("VmSize") + allowed
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for name, content in files.items():
        before, started = _forget_peak(), time.process_time()
        try:
            shape = list(transform(decode_image(content, origin=name)).shape)
            found: dict[str, object] = {"shape": shape}
        except ImageError as error:
            found = {"message": error.message}
        peak = _status("VmHWM") - before
        cost = {"peak_bytes": peak, "cpu_s": round(time.process_time() - started, 3)}
        sys.stdout.write(
            json.dumps({"name": name, "size_bytes": len(content)} | found | cost) + "\n"
        )


def _forget_peak() -> int:
    """Let the peak be what is held now, and return that in bytes."""
    ctypes.CDLL(None).malloc_trim(0)  # what was freed would hide what comes next
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(field: str) -> int:
    """Return a figure of this process in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


if __name__ == "__main__":
    main()
