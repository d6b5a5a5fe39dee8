"""Processes that commit to one adapter at once; `make prove-registry` does it for longer."""

from pathlib import Path

import pytest

from tests.support.drivers.committers import commit_at_once

pytestmark = pytest.mark.slow


def test_processes_that_commit_at_once_lose_nothing(tmp_path: Path) -> None:
    tally = commit_at_once(tmp_path.as_uri(), processes=4, seconds=60.0, most=8)
    assert len(tally.acknowledged) == 4 * 8
    tally.check()
