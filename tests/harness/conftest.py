"""Small image sets as their publishers lay them out."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml
from PIL import Image

COLORS = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (30, 200, 40)}
SHAPES = {"dark": (20, 20, 20), "light": (240, 240, 240), "blue": (40, 60, 240)}


def pictures(folder: Path, colors: dict[str, tuple[int, int, int]], *, images: int = 6) -> None:
    """Write {train,test}/CLASS with plain pictures, a little different from each other."""
    for part in ("train", "test"):
        for name, (red, green, blue) in colors.items():
            (folder / part / name).mkdir(parents=True)
            for number in range(images):
                shade = (max(0, red - 3 * number), green, min(255, blue + 2 * number))
                place = folder / part / name / f"{number}.png"
                Image.new("RGB", (40 + number, 32), shade).save(place)


def suite_in(folder: Path, **changes: object) -> Path:
    """Write a suite of two small sets into `folder`, and return its file."""
    if not (folder / "data").exists():
        pictures(folder / "data" / "colors", COLORS)
        pictures(folder / "data" / "shades", SHAPES)
    suite: dict[str, object] = {
        "name": "small",
        "root": "data",
        "sets": [{"name": "colors"}, {"name": "shades"}],
        "shots": 3,
        "seeds": [0, 1],
        "orders": {"I": ["colors", "shades"], "II": ["shades", "colors"]},
        "methods": [
            {"method": "zero_shot"},
            {"label": "means", "method": "nearest_mean"},
            {"label": "LADA", "method": "lada", "settings": {"text": "none", "steps": 5}},
        ],
    }
    path = folder / "suite.yaml"
    path.write_text(yaml.safe_dump({**suite, **changes}))
    return path


@pytest.fixture
def write_suite(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a suite of two small sets, and returns its file."""
    return partial(suite_in, tmp_path)
