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
    report = write_report(findings_of(measuring), tmp_path / "results")
    written = report.read_text()
    finishes = [run.finish for run in measuring.finished().values()]
    wrong = sum(len(each.found.shown) for finish in finishes for each in finish.mistakes)
    assert written.count("data:image/jpeg;base64,") == written.count("wrong: it is") == wrong > 0
    assert "Answers are chosen among all 6 classes of the suite" in " ".join(written.split())
    colors = colors_shown(report, tmp_path)
    # The first line's curve, and what a wrong answer is written in.
    assert {(0x4E, 0x79, 0xA7), (0xB4, 0x23, 0x18)} <= colors
    assert len(shades_of_the_heat_map(colors)) > 5
