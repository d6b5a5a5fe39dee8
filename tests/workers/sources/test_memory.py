"""Memory: what a source costs follows from what it may hold, in a process that has little."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.drivers import limited_reading
from tests.support.scenes.costly_sources import COSTLY

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 240


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what came of every source in the limited process, by its name and place."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of a process is read from /proc, which only Linux has")
    folder = tmp_path_factory.mktemp("costly")
    for name, costly in COSTLY.items():
        costly.write(folder / name)
    # Pools of freed memory would count as what a source takes.
    pools = {"MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    done = subprocess.run(
        [sys.executable, "-m", limited_reading.__name__, str(folder)],
        cwd=ROOT,
        env=os.environ | pools | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        timeout=TIMEOUT_S,
        check=True,
    )
    lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
    return {(line["name"], line["place"]): line for line in lines}


@pytest.mark.parametrize(
    ("name", "place"), [(name, place) for name, costly in COSTLY.items() for place in costly.places]
)
def test_a_costly_source_is_refused_before_it_costs(
    found: dict[tuple[str, str], dict[str, Any]], name: str, place: str
) -> None:
    costly, line = COSTLY[name], found[name, place]
    if costly.message:
        assert costly.message in line["message"]
    else:
        assert line["used"] == 1
    assert line["peak_bytes"] <= costly.peak_bytes
