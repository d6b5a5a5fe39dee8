"""Memory: initialisation (Eq. 5) and logits (Eq. 6)."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adapters.methods.lada.memory import (
    MemoryBlock,
    TrainableMemory,
    class_centres,
    grouped_offsets,
    initial_memory,
)
from tests.adapters.synthetic import clusters, unit_rows

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
COUNTS = st.lists(st.integers(1, 6), min_size=1, max_size=8)


def by_definition(features: Tensor, memory: Tensor, counts: list[int], beta: float) -> Tensor:
    columns = [
        torch.exp(-beta * (1 - features @ rows.t())).sum(dim=1)
        for rows in torch.split(memory, counts)
    ]
    return torch.stack(columns, dim=1)


def block(memory: Tensor, counts: list[int], *, beta: float = 1.0) -> MemoryBlock:
    return MemoryBlock.of(memory, grouped_offsets(counts), beta=beta)


@DTYPES
@settings(deadline=None, max_examples=25)
@given(counts=COUNTS, beta=st.floats(0.0, 8.0), seed=st.integers(0, 999))
def test_logits_are_the_sum_of_equation_six(
    dtype: torch.dtype, counts: list[int], beta: float, seed: int
) -> None:
    memory = unit_rows(sum(counts), 9, seed=seed, dtype=dtype)
    features = unit_rows(5, 9, seed=seed + 1, dtype=dtype)
    expected = by_definition(features, memory, counts, beta)
    torch.testing.assert_close(block(memory, counts, beta=beta).logits(features), expected)


@DTYPES
@settings(deadline=None, max_examples=25)
@given(counts=COUNTS, beta=st.floats(0.0, 4.0), seed=st.integers(0, 999))
def test_unit_vectors_keep_logits_between_their_bounds(
    dtype: torch.dtype, counts: list[int], beta: float, seed: int
) -> None:
    logits = block(unit_rows(sum(counts), 4, seed=seed, dtype=dtype), counts, beta=beta).logits(
        unit_rows(6, 4, seed=seed + 1, dtype=dtype)
    )
    most = torch.tensor(counts, dtype=dtype)
    slack = 1e-5 * most  # rounding of a unit row's norm
    assert (logits <= most + slack).all()
    assert (logits >= most * math.exp(-2 * beta) - slack).all()


@DTYPES
def test_bounds_are_reached_by_identical_and_antipodal_vectors(dtype: torch.dtype) -> None:
    feature = unit_rows(1, 4, seed=1, dtype=dtype)
    logits = block(torch.cat([feature.repeat(3, 1), -feature.repeat(2, 1)]), [3, 2]).logits(feature)
    expected = torch.tensor([[3.0, 2 * math.exp(-2)]], dtype=dtype)
    torch.testing.assert_close(logits, expected)


@DTYPES
def test_the_value_worked_out_by_hand(dtype: torch.dtype) -> None:
    memory = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], dtype=dtype)
    logits = block(memory, [2, 1]).logits(torch.tensor([[1.0, 0.0]], dtype=dtype))
    expected = torch.tensor([[1.367879, 0.135335]], dtype=dtype)
    torch.testing.assert_close(logits, expected, rtol=0, atol=5e-7)  # six printed digits


def test_beta_zero_counts_vectors_exactly() -> None:
    logits = block(unit_rows(6, 4, seed=1), [1, 5], beta=0.0).logits(unit_rows(3, 4, seed=2))
    assert torch.equal(logits, torch.tensor([[1.0, 5.0]]).expand(3, 2))


def test_large_and_small_beta_approach_their_limits() -> None:
    memory, feature = unit_rows(7, 5, seed=1).double(), unit_rows(4, 5, seed=2).double()
    affinities = feature @ memory.t()
    sharp = block(memory, [7], beta=400.0).logits(feature)
    nearest = affinities.max(dim=1, keepdim=True).values
    # log of at most 7 equal terms over beta.
    torch.testing.assert_close(1 + sharp.log() / 400, nearest, rtol=0, atol=math.log(7) / 400)
    flat = block(memory, [7], beta=1e-4).logits(feature)
    linear = 7 * (1 - 1e-4) + 1e-4 * affinities.sum(dim=1, keepdim=True)
    torch.testing.assert_close(flat, linear, rtol=0, atol=7 * 4e-8)  # second order in beta


@DTYPES
def test_with_enough_vectors_memory_is_the_tip_adapter_cache(dtype: torch.dtype) -> None:
    task = clusters(images=8)
    memory, offsets = initial_memory(task, vectors=16, seed=0)
    assert torch.equal(offsets.diff(), torch.full((4,), 8))
    assert {tuple(row) for row in memory.tolist()} == {
        tuple(row) for row in task.features[:, 0].tolist()
    }
    queries = unit_rows(10, task.width, seed=9, dtype=dtype)
    keys = task.features[:, 0].to(dtype)
    labels = torch.nn.functional.one_hot(task.labels).to(dtype)
    cache = torch.exp(-(1 - queries @ keys.t())) @ labels
    logits = MemoryBlock.of(memory.to(dtype), offsets, beta=1.0).logits(queries)
    torch.testing.assert_close(logits, cache)


@pytest.mark.parametrize(
    ("images", "vectors", "centres"),
    [
        (1, 16, 1),  # one image is its own centre
        (5, 16, 5),  # fewer images than vectors
        (16, 16, 16),
        (40, 16, 16),
        (3, 1, 1),
    ],
)
def test_a_class_has_as_many_centres_as_its_images_allow(
    images: int, vectors: int, centres: int
) -> None:
    assert class_centres(unit_rows(images, 6, seed=images), vectors, 0).shape == (centres, 6)


def test_identical_images_keep_the_weight_of_their_class() -> None:
    same = unit_rows(1, 6, seed=1).repeat(30, 1)
    assert torch.equal(class_centres(same, 16, 0), same[:16])


def test_duplicates_among_few_distinct_images_need_no_clustering() -> None:
    three = unit_rows(3, 6, seed=1)
    centres = class_centres(three.repeat(10, 1), 16, 0)
    assert centres.shape == (16, 6)
    assert {tuple(row) for row in centres.tolist()} == {tuple(row) for row in three.tolist()}


def test_permuting_classes_permutes_memory_and_nothing_else() -> None:
    task = clusters(images=30)
    order = torch.tensor([2, 0, 3, 1])
    shuffled = replace(
        task,
        classes=tuple(task.classes[index] for index in order.tolist()),
        labels=order.argsort()[task.labels],
    )
    memory, _ = initial_memory(task, vectors=4, seed=7)
    permuted, _ = initial_memory(shuffled, vectors=4, seed=7)
    assert torch.equal(permuted.view(4, 4, -1), memory.view(4, 4, -1)[order])


@settings(deadline=None, max_examples=20)
@given(counts=COUNTS, seed=st.integers(0, 99))
def test_trainable_memory_gives_back_what_it_was_given(counts: list[int], seed: int) -> None:
    memory, offsets = unit_rows(sum(counts), 5, seed=seed), grouped_offsets(counts)
    trainable = TrainableMemory(
        memory, offsets, beta=2.0, dtype=torch.float32, device=torch.device("cpu")
    )
    compact, same_offsets = trainable.compact()
    assert torch.equal(compact, memory) and torch.equal(same_offsets, offsets)
    current = trainable.block()
    assert current is not None
    features = unit_rows(3, 5, seed=seed + 1)
    expected = MemoryBlock.of(memory, offsets, beta=2.0).logits(features)
    torch.testing.assert_close(current.logits(features), expected)
