"""Memory: what a picture costs follows from its pixels and bytes, in a process that has little."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.drivers import limited_decoding
from tests.support.scenes.pictures import COSTLY, Costly

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 240
COPIES = 5
"""Of a file: as it came, its essentials, and what Pillow makes of them."""
SMALL_BYTES = 8 * 2**20
"""What bands of rows and the encoder's input take."""


@pytest.fixture(scope="module")
def found() -> dict[str, dict[str, Any]]:
    """Return what came of every file in the limited process."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of a process is read from /proc, which only Linux has")
    # Pools of freed memory, one for each thread, would count as what a picture takes.
    environment = os.environ | {"MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", limited_decoding.__name__],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        timeout=TIMEOUT_S,
        check=True,
    )
    lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
    return {line["name"]: line for line in lines}


@pytest.mark.parametrize("name", COSTLY)
def test_a_costly_file_costs_what_its_pixels_cost(
    found: dict[str, dict[str, Any]], name: str
) -> None:
    costly: Costly = COSTLY[name]
    line = found[name]
    if costly.message:
        assert costly.message in line["message"]
    else:
        side = limited_decoding.SIDE
        assert line["shape"] == [3, side, side]
    pixels = limited_decoding.BYTES_PER_PIXEL * costly.pixels
    assert line["peak_bytes"] <= pixels + COPIES * line["size_bytes"] + SMALL_BYTES
