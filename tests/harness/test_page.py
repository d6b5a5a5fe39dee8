"""The report as a browser shows it."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cluster.benching import Place, opened
from cluster.cli.bench import findings_of
from harness.page import write_report
from harness.results import run_names

WIDTH, HEIGHT = 1200, 2400
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


@pytest.fixture
def browser() -> str:
    """Return a Chromium; without one, fail in CI and skip elsewhere."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if (path := shutil.which(name)) is not None:
            return path
    if os.environ.get("CI"):
        pytest.fail("no Chromium; CI installs the package `chromium`")
    pytest.skip("no Chromium on the PATH")


def test_a_browser_shows_the_matrix_the_curves_and_the_pictures(
    write_suite: Callable[..., Path], browser: str, tmp_path: Path
) -> None:
    path = write_suite(orders={"I": ["colors", "shades"]}, seeds=[0])
    place = Place(suite=path, results=tmp_path / "results", cache=tmp_path / "cache")
    opened.cache_clear()
    measuring = opened(place)
    for name in run_names(measuring.suite):
        measuring.run(name)
    page = write_report(findings_of(measuring), tmp_path / "results")
    shot = tmp_path / "page.png"
    subprocess.run(
        [
            browser,
            *FLAGS,
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={WIDTH},{HEIGHT}",
            f"--screenshot={shot}",
            page.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    with Image.open(shot) as picture:
        assert picture.size == (WIDTH, HEIGHT)
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    colors = {(int(red), int(green), int(blue)) for red, green, blue in np.unique(pixels, axis=0)}
    # The first line's curve, a correct and a wrong answer, and the red, blue and green pictures.
    assert (0x4E, 0x79, 0xA7) in colors
    assert any(red > 180 and green < 60 and blue < 90 for red, green, blue in colors)
    assert any(blue > 180 and red < 60 and green < 60 for red, green, blue in colors)
    assert any(green > 170 and red < 60 for red, green, blue in colors)
    # Cells of the heat map between white and deep blue.
    shades = {color for color in colors if color[2] > color[1] > color[0] and color[2] > 140}
    assert len(shades) > 5
