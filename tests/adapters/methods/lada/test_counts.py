"""Sizes that the paper, its code and its logs state."""

import pytest
import torch

from adapters.contract.learning import class_mixtures
from adapters.methods.lada.memory import initial_memory
from adapters.methods.lada.record import mixture_tensors
from adapters.towers.tuner import Tuner
from tests.adapters.synthetic import clusters

CLIP_PARAMETERS = 149_620_736
"""Image-text parameters of CLIP ViT-B/16 (arXiv 2505.23271)."""


def test_the_tuner_has_the_published_number_of_parameters() -> None:
    tuner = Tuner(blocks=12, width=512, bottleneck=16, generator=torch.Generator())
    parameters = sum(parameter.numel() for parameter in tuner.parameters())
    in_one_block = sum(parameter.numel() for parameter in tuner.branch(0).parameters())
    assert (in_one_block, parameters) == (17_937, 215_244)
    # The published log prints the sum for the first task of 100 classes.
    assert CLIP_PARAMETERS + parameters + 100 * 16 * 512 == 150_655_180


def test_the_down_projection_starts_with_the_published_deviation() -> None:
    tuner = Tuner(blocks=12, width=512, bottleneck=16, generator=torch.Generator().manual_seed(0))
    weights = torch.cat([branch.down.weight.flatten() for branch in tuner.branches])  # type: ignore[union-attr, operator]
    # 98,304 draws: the deviation of their deviation is 0.00006.
    assert float(weights.detach().std()) == pytest.approx(0.02552, abs=0.0003)


@pytest.mark.parametrize(("classes", "expected"), [(100, 819_200), (1100, 9_011_200)])
def test_memory_has_the_published_number_of_parameters(classes: int, expected: int) -> None:
    task = clusters(classes=3, images=16, width=512)
    memory, _ = initial_memory(task, vectors=16, seed=0)
    assert memory.numel() // 3 * classes == expected


def test_a_class_keeps_10760_numbers() -> None:
    task = clusters(classes=1, images=16, width=512)
    mixtures = class_mixtures(task, components=4, seed=0)
    numbers = sum(
        tensor.numel()
        for name, tensor in mixture_tensors(mixtures).items()
        if "offsets" not in name
    )
    memory, _ = initial_memory(task, vectors=16, seed=0)
    assert numbers == 2056
    assert memory.numel() == 8192
    assert numbers + memory.numel() + 512 == 10_760
    assert numbers / memory.numel() == pytest.approx(0.251, abs=5e-4)  # as printed
