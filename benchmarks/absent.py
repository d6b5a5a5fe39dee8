"""Absence of what a benchmark measures on: one sentence and exit code 2, before it measures."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from harness.suite import Suite

ABSENT = 2
"""The exit code; 1 says that a bar does not hold."""


def end_without(sentence: str) -> NoReturn:
    """End the process, and say what is missing and what to do."""
    sys.stderr.write(f"{sentence}\n")
    sys.exit(ABSENT)


def absent_features(folder: Path, names: Iterable[str]) -> list[str]:
    """Return the sets of which `folder` has no features."""
    return [name for name in names if not (folder / f"{name}.npz").is_file()]


def need_features(folder: Path, names: Iterable[str]) -> None:
    """End the process unless `folder` has the features of all sets called `names`."""
    absent = absent_features(folder, names)
    if absent:
        files = ", ".join(f"{name}.npz" for name in absent)
        end_without(
            f"expected cached features {files} in {folder}, found none; set NACRE_FEATURES to a "
            "folder that has them"
        )


def need_images(suite: Suite, *, remedy: str) -> None:
    """End the process unless the image sets of `suite` are there.

    Args:
        suite: What is measured.
        remedy: How to say where they are.
    """
    absent = [one.name for one in suite.sets if not suite.folder_of(one).is_dir()]
    if absent:
        end_without(
            f"expected the image sets {', '.join(absent)} in {suite.root}, found none; {remedy}"
        )
