"""Fixtures that every test may use."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from PIL import Image

# Ray reads both when it starts; a token file in the home folder must not matter to tests.
os.environ["RAY_AUTH_MODE"] = "disabled"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

# Machines differ and are noisy: no example fails because it was slow.
settings.register_profile("nacre", deadline=None)
settings.load_profile("nacre")

EXAMPLES = Path(__file__).parents[1] / "cluster" / "examples"


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
