"""Fixtures that every test may use."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from PIL import Image

# Ray reads both when it starts; a token file in the home folder must not matter to tests.
os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Whatever a machine says of itself must not matter either, and is not asked.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"

# What a shell starts in the background ignores interrupts, and all that it starts; tests interrupt.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Machines differ and are noisy: no example fails because it was slow.
settings.register_profile("nacre", deadline=None)
settings.load_profile("nacre")

EXAMPLES = Path(__file__).parents[1] / "cluster" / "examples"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first, the most of them before all.

    Where files are run beside each other none of these is left alone with one process at the end.
    """
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture
def examples() -> Path:
    """Return the folder of the five example tasks."""
    return EXAMPLES


@pytest.fixture
def write_task(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a small task file beside folders of plain pictures."""

    def write(
        *, images: int = 6, keys: str = "", classes: tuple[str, ...] = ("red", "blue")
    ) -> Path:
        for index, color in enumerate(classes):
            folder = tmp_path / "images" / color
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(images):
                shade = (40 * index + number, 90, 200 - number)
                Image.new("RGB", (24, 20), shade).save(folder / f"{number}.png")
        path = tmp_path / "task.yaml"
        path.write_text(f"name: colors\nimages: images\n{keys}\n")
        return path

    return write
