"""The image for machines with a GPU: built of wheels that are fetched, looked at without one."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.table import Row
from tests.support.drivers.containers import HARDENED, Containers
from tests.support.drivers.image_trial import NEW, ROOT, build, commits, size_of

CUDA = "localhost/nacre:cuda"
MOST_BYTES = 6_000_000_000
LOOK = "import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available())"


def cuda_image(own: Containers) -> Iterator[Row]:
    """Fetch what the public index gives, build the target `cuda`, and say what is in it."""
    bundle = own.folder / "bundle-cuda"
    print("gathering wheels with a CUDA build of torch", flush=True)
    begun = time.monotonic()
    if not (bundle / "SHA256SUMS").is_file():
        shutil.rmtree(bundle, ignore_errors=True)
        _gather(bundle)
        yield Row(figure="wheels for CUDA gathered in", value=time.monotonic() - begun, unit="s")
    yield build(own, CUDA, commits()[NEW], bundle / "wheels", target="cuda")
    yield size_of(own, CUDA, figure="size of the CUDA image", most_bytes=MOST_BYTES)
    inside = ("run", "--rm", *HARDENED, "--network", "none", "--entrypoint", "python")
    found = own.podman(*inside, CUDA, "-c", LOOK).split()
    yield Row(
        figure="torch in it, its CUDA, whether a GPU is here",
        value=" ".join(found),
        bar="a CUDA build",
        holds=len(found) == 3 and found[1] != "None",
    )


def _gather(bundle: Path) -> None:
    """Gather as somebody does whose pip knows the public index alone, where torch is CUDA's."""
    ours = {key: value for key, value in os.environ.items() if key != "PIP_FIND_LINKS"}
    done = subprocess.run(
        ["sh", str(ROOT / "deploy" / "airgap" / "bundle.sh"), str(bundle)],
        env={**ours, "PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"bundle.sh ended with {done.returncode}: {done.stderr[-3000:]}")
