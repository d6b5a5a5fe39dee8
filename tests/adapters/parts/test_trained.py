"""What every training gets from its learner, whatever the method."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from adapters.parts.denormals import denormals_are_flushed
from adapters.parts.trained import TrainedLearner


class Noting:
    """A training that notes whether denormal numbers are flushed while it steps."""

    total_steps = 2

    def __init__(self) -> None:
        self.flushed: list[bool] = []

    def advance(self, step: int) -> float:
        self.flushed.append(denormals_are_flushed())
        return float(step)

    def state(self) -> Mapping[str, Tensor]:
        return {}

    def restore(self, tensors: Mapping[str, Tensor], *, steps_done: int) -> None:
        del tensors, steps_done

    def tensors(self) -> Mapping[str, Tensor]:
        return {}


@pytest.mark.skipif(
    not torch.set_flush_denormal(False), reason="this processor cannot flush denormals"
)
def test_denormal_numbers_are_flushed_in_every_step_and_not_between() -> None:
    training = Noting()
    learner = TrainedLearner(training, described={})
    for _ in range(training.total_steps):
        learner.step()
        assert not denormals_are_flushed()
    assert training.flushed == [True, True]
