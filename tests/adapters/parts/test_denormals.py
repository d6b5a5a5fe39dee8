"""Denormal numbers are flushed inside the block, and only there."""

import pytest
import torch

from adapters.parts.denormals import LEAST_NORMAL, denormals_are_flushed, flushed_denormals

pytestmark = pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor cannot flush denormals"
)


def test_a_product_below_the_least_normal_number_is_zero_inside_and_not_outside() -> None:
    least, half = torch.tensor([LEAST_NORMAL]), torch.tensor([0.5])
    assert float(least * half) > 0
    with flushed_denormals():
        assert float(least * half) == 0
    assert float(least * half) > 0


def test_a_thread_that_flushed_before_goes_on_flushing() -> None:
    with flushed_denormals():
        with flushed_denormals():
            assert denormals_are_flushed()
        assert denormals_are_flushed()
    assert not denormals_are_flushed()


def test_an_error_inside_ends_the_flushing_too() -> None:
    with pytest.raises(ValueError, match="within"), flushed_denormals():
        raise ValueError("within")
    assert not denormals_are_flushed()
