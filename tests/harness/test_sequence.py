"""What a run says of itself."""

import pytest
import torch

from harness.sequence import PEAK_RESET, STATUS, _peak_bytes


@pytest.mark.skipif(not STATUS.exists(), reason="only Linux tells it")
def test_the_peak_of_memory_is_that_of_a_run_and_not_of_what_ran_before() -> None:
    large = torch.ones(100_000_000)
    high = _peak_bytes()
    assert high > large.nbytes
    del large
    PEAK_RESET.write_text("5")
    assert _peak_bytes() < high - 300_000_000
