"""LADA's learner against the plain loop: autograd, dense labels, torch's own schedule."""

import pytest
import torch

from adapters.methods.lada.learner import LadaLearner
from adapters.methods.lada.settings import LadaSettings
from benchmarks.plain_lada import PlainLoop
from tests.adapters.synthetic import class_means, clusters, learnt
from tests.support.scenes.training import inputs


@pytest.mark.parametrize("text", ["none", "residual"])
@pytest.mark.parametrize("images", [3, 12])  # fewer and more images than memory vectors
def test_every_step_is_that_of_the_plain_loop(text: str, images: int) -> None:
    past = [learnt(clusters("first", images=images), memory_per_class=6)]
    past.append(learnt(clusters("second", classes=3, seed=2), past, memory_per_class=6))
    task = clusters("third", classes=5, images=images, seed=3)
    settings = LadaSettings.from_mapping(
        {"text": text, "steps": 30, "memory_per_class": 6, "batch_size": 8}
    )
    side = class_means(task)
    ours = LadaLearner(inputs(task, past, text=side, seed=1), settings=settings)
    plain = PlainLoop(task, past, text=side, settings=settings, seed=1)
    losses = [(ours.step(), plain.step()) for _ in range(30)]
    torch.testing.assert_close(*map(torch.tensor, zip(*losses, strict=True)), rtol=1e-3, atol=1e-4)
    # Thirty steps of up to 1e-3 each; AdamW may turn a rounding of a tiny gradient into a step.
    memory = ours.learnt().tensors["memory"]
    torch.testing.assert_close(memory, plain.memory.detach(), rtol=0, atol=2e-3)
    assert (memory - plain.memory.detach()).abs().mean() < 1e-5
