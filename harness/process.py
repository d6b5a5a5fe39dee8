"""Peak memory of this process."""

import resource
from contextlib import suppress
from pathlib import Path

STATUS, PEAK_RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
"""Where Linux tells of a process's memory, and where `5` makes its peak begin anew."""


def reset_peak() -> None:
    """Have `peak_bytes` tell of what follows, where the system allows it."""
    with suppress(OSError):
        PEAK_RESET.write_text("5")


def peak_bytes() -> int:
    """Return the most memory that the process has held since the peak was reset or it began."""
    with suppress(OSError):
        for line in STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    # Since the process began, in KiB.
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
