"""One process without Ray: what docs/notebooks.md shows, and how a block ends."""

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from workers.coordination.local_coordinator import coordinating
from workers.encoding.encoder import Encoder
from workers.queue.leadership import KEY, read_leadership, take_leadership
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import WrappedStore

PAGE = (Path(__file__).parents[3] / "docs" / "notebooks.md").read_text()
WITHOUT_RAY = "\nimport sys\nassert 'ray' not in sys.modules\n"
TIMEOUT_S = 180.0


def block(language: str) -> str:
    """Return the one block of the page that is in `language`."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(found)


@pytest.mark.slow
def test_the_session_on_the_page_learns_and_answers_as_it_says_without_ray(
    examples: Path,
) -> None:
    root = str(Path(__file__).parents[3])
    found = subprocess.run(
        [sys.executable, "-c", block("python") + WITHOUT_RAY],
        cwd=examples,
        env={"PATH": "", "HOME": root, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.stdout, found.returncode) == (block("text"), 0), found.stderr


def test_a_block_that_ends_lets_another_system_coordinate_at_once(encoder: Encoder) -> None:
    store = MemoryStore()
    with pytest.raises(KeyError), coordinating(store, encoder):
        raise KeyError("of whoever uses it")
    lead = read_leadership(store)
    assert lead is None or lead.expires == 0.0


class Asked(WrappedStore):
    """Says when the lead has been looked at twice."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.looks = 0
        self.twice = threading.Event()

    def before(self, operation: str, key: str) -> None:
        self.looks += (operation, key) == ("get", KEY)
        if self.looks == 2:
            self.twice.set()


def test_while_another_system_coordinates_it_is_said_which(encoder: Encoder) -> None:
    store = Asked(MemoryStore())
    take_leadership(store.inner, owner="ray", host="node-7", ttl_s=3_000.0, now=time.time())
    with coordinating(store, encoder) as coordinator:
        assert store.twice.wait(TIMEOUT_S)
        assert "coordinated by the system on 'node-7'" in str(coordinator.waits_for)
