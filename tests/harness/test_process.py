"""The memory of this process."""

import pytest
import torch

from harness.process import STATUS, peak_bytes, reset_peak


@pytest.mark.skipif(not STATUS.exists(), reason="only Linux tells it")
def test_the_peak_of_memory_is_that_of_a_run_and_not_of_what_ran_before() -> None:
    large = torch.ones(100_000_000)
    high = peak_bytes()
    assert high > large.nbytes
    del large
    reset_peak()
    assert peak_bytes() < high - 300_000_000
