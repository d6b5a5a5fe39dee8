"""Benchmarks without what they measure on: a sentence that says what to set, and exit code 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
NEEDING = [
    # module, and what its sentence names
    ("features", "NACRE_FEATURES"),
    ("methods", "NACRE_FEATURES"),
    ("beyond", "NACRE_FEATURES"),
    ("beyond_trials", "NACRE_FEATURES"),
    ("replay", "NACRE_FEATURES"),
    ("encoder", "NACRE_DATASETS"),
]


def ended(
    module: str, *arguments: str | Path, features: Path
) -> "subprocess.CompletedProcess[str]":
    """Return how a benchmark ended that found features and image sets in one folder."""
    return subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "NACRE_FEATURES": str(features), "NACRE_DATASETS": str(features)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(("module", "variable"), NEEDING)
@pytest.mark.parametrize("folder", ["empty", "absent"])
def test_what_is_missing_is_said_in_a_sentence(
    tmp_path: Path, module: str, variable: str, folder: str
) -> None:
    (tmp_path / "empty").mkdir()
    end = ended(module, features=tmp_path / folder)
    assert end.returncode == 2, end.stderr
    assert end.stdout == ""
    (line,) = end.stderr.splitlines()
    assert line.startswith("expected ")
    assert str(tmp_path / folder) in line
    assert variable in line


def test_missing_images_are_said_before_an_hour_of_measuring(tmp_path: Path) -> None:
    names = ("caltech101", "oxford_flowers", "oxford_pets", "stanford_cars", "dtd")
    for name in names:
        (tmp_path / f"{name}.npz").touch()
    end = ended("beyond", "--root", tmp_path / "nowhere", features=tmp_path)
    assert end.returncode == 2, end.stderr
    assert end.stderr.startswith("expected the image sets caltech101, chess_pieces")
    assert f"in {tmp_path / 'nowhere'}, found none; name their folder with --root" in end.stderr
