"""Runs of a suite side by side on a real Ray give what one after the other gives."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cluster.evaluation.benching import SuiteFolders, measured_side_by_side, opened
from harness.results import run_names
from harness.sequence_run import SequenceRun
from tests.harness.conftest import write_suite

__all__ = ["write_suite"]  # a fixture of the harness's tests

pytestmark = pytest.mark.ray


def figures(run: SequenceRun) -> list[object]:
    return [step.accuracies for step in run.steps]


def test_runs_side_by_side_are_those_one_after_the_other(
    write_suite: Callable[..., Path],
    tmp_path: Path,
) -> None:
    path = write_suite()
    cache = tmp_path / "cache"
    place = SuiteFolders(suite=path, results=tmp_path / "together", cache=cache)
    names = run_names(opened(place).suite)
    finished = list(measured_side_by_side(place, names, parallel=2, address=None))
    assert sorted(map(str, finished)) == sorted(map(str, names))
    together = opened(place).finished()
    assert set(together) == set(names)
    alone = opened(SuiteFolders(suite=path, results=tmp_path / "alone", cache=cache))
    for name in names:
        assert figures(alone.run(name)) == figures(together[name])
