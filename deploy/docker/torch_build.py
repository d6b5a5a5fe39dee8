"""Refuses a torch of another build than the target's: a public index gives whichever it likes."""

import runpy
import sys
from pathlib import Path

INSTALLED = Path("/opt/nacre/.venv/lib")
REMEDY = {
    "cpu": "give --build-arg PIP_EXTRA_INDEX_URL, the index of CPU wheels that PyTorch's "
    "installation page names, or put such a wheel into the folder of --build-arg WHEELS",
    "cuda": "leave out --build-arg PIP_EXTRA_INDEX_URL, or name the index of a CUDA build, and "
    "leave no CPU wheel in the folder of --build-arg WHEELS",
}


def mistake(wanted: str, installed: Path = INSTALLED) -> str | None:
    """Return what is wrong with the torch in an environment, and what to do; None if nothing is."""
    (file,) = installed.glob("python3*/site-packages/torch/version.py")
    said = runpy.run_path(str(file))
    found = "cpu" if said["cuda"] is None else "cuda"
    if found == wanted:
        return None
    return f"expected a {wanted} build of torch, found {said['__version__']}: {REMEDY[wanted]}"


if __name__ == "__main__":
    sys.exit(mistake(sys.argv[1]))
