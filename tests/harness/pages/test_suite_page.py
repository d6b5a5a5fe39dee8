"""The report of a suite as a browser shows it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.cli.bench import findings_of
from cluster.evaluation.benching import SuiteFolders, opened
from harness.pages.suite_page import write_report
from harness.results import run_names
from tests.support.drivers.browser import colors_shown, shades_of_the_heat_map

pytestmark = pytest.mark.slow


def test_a_browser_shows_the_matrix_the_curves_and_the_pictures(
    write_suite: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_suite(orders={"I": ["colors", "shades"]}, seeds=[0])
    place = SuiteFolders(suite=path, results=tmp_path / "results", cache=tmp_path / "cache")
    opened.cache_clear()
    measuring = opened(place)
    for name in run_names(measuring.suite):
        measuring.run(name)
    colors = colors_shown(write_report(findings_of(measuring), tmp_path / "results"), tmp_path)
    # The first line's curve, a correct and a wrong answer, and the red, blue and green pictures.
    assert (0x4E, 0x79, 0xA7) in colors
    assert any(red > 180 and green < 60 and blue < 90 for red, green, blue in colors)
    assert any(blue > 180 and red < 60 and green < 60 for red, green, blue in colors)
    assert any(green > 170 and red < 60 for red, green, blue in colors)
    assert len(shades_of_the_heat_map(colors)) > 5
