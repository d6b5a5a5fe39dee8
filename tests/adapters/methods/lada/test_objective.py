"""The written-out gradients against autograd on the definition."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import cross_entropy

from adapters.methods.lada.memory import MemoryBlock, grouped_offsets
from adapters.methods.lada.objective import loss_and_gradients
from adapters.methods.lada.past_softmax import OldClasses
from adapters.methods.lada.softmax import NewClasses
from adapters.methods.lada.step_rows import Rows
from tests.adapters.synthetic import unit_rows

WIDTH = 7


def problem(
    seed: int, old_counts: list[int], new_counts: list[int], dtype: torch.dtype
) -> tuple[Rows, OldClasses, NewClasses]:
    old, new = len(old_counts), len(new_counts)
    generator = torch.Generator().manual_seed(seed)
    rows = Rows(
        unit_rows(90, WIDTH, seed=seed, dtype=dtype),
        torch.randint(old + new, (90,), generator=generator),
        torch.rand(90, generator=generator, dtype=dtype),
    )
    blocks = (
        (
            MemoryBlock.of(
                unit_rows(sum(old_counts), WIDTH, seed=seed + 1, dtype=dtype),
                grouped_offsets(old_counts),
                beta=1.5,
            ),
        )
        if old
        else ()
    )
    memory = MemoryBlock.of(
        unit_rows(sum(new_counts), WIDTH, seed=seed + 2, dtype=dtype),
        grouped_offsets(new_counts),
        beta=1.5,
    )
    anchors = 10 * unit_rows(old, WIDTH, seed=seed + 3, dtype=dtype)
    known = OldClasses(anchors, blocks, torch.full((old,), 0.7, dtype=dtype))
    fresh = NewClasses(10 * unit_rows(new, WIDTH, seed=seed + 4, dtype=dtype), memory, 0.7)
    return rows, known, fresh


def by_autograd(rows: Rows, old: OldClasses, new: NewClasses) -> tuple[Tensor, Tensor, Tensor]:
    assert new.memory is not None
    anchors = new.anchors.clone().requires_grad_()
    memory = new.memory.rows.clone().requires_grad_()

    def lada(weights: Tensor, bias: Tensor, classes: int) -> Tensor:
        return torch.exp(rows.features @ weights.t() + bias).view(90, -1, classes).sum(dim=1)

    columns = [
        rows.features @ old.anchors.t()
        + torch.cat(
            [lada(b.rows, b.bias, b.classes) * old.alphas for b in old.memory]
            or [rows.features.new_zeros(90, 0)],
            dim=1,
        ),
        rows.features @ anchors.t() + new.alpha * lada(memory, new.memory.bias, new.memory.classes),
    ]
    losses = cross_entropy(torch.cat(columns, dim=1), rows.labels, reduction="none")
    loss = (rows.weights * losses).sum() / 90
    loss.backward()  # type: ignore[no-untyped-call]
    assert anchors.grad is not None and memory.grad is not None
    return loss.detach(), anchors.grad, memory.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(deadline=None, max_examples=20)
@given(
    seed=st.integers(0, 999),
    old_counts=st.lists(st.integers(1, 4), max_size=5),
    new_counts=st.lists(st.integers(1, 4), min_size=1, max_size=5),
)
def test_loss_and_gradients_equal_autograd(
    dtype: torch.dtype, seed: int, old_counts: list[int], new_counts: list[int]
) -> None:
    rows, old, new = problem(seed, old_counts, new_counts, dtype)
    loss, anchors, memory = by_autograd(rows, old, new)
    found = loss_and_gradients(rows, old, new, normaliser=90.0)
    rtol, atol = (1e-4, 1e-6) if dtype == torch.float32 else (1e-7, 1e-7)
    torch.testing.assert_close(found.loss, loss, rtol=rtol, atol=atol)
    torch.testing.assert_close(found.anchors, anchors, rtol=rtol, atol=atol)
    torch.testing.assert_close(found.memory, memory, rtol=rtol, atol=atol)


def test_portions_add_up_to_the_whole() -> None:
    rows, old, new = problem(3, [3, 2], [4, 1], torch.float64)
    whole = loss_and_gradients(rows, old, new, normaliser=1.0)
    portioned = loss_and_gradients(rows, old, new, normaliser=1.0, portion_cells=1)
    torch.testing.assert_close(portioned.memory, whole.memory)
    torch.testing.assert_close(portioned.anchors, whole.anchors)


def test_a_constant_added_to_all_logits_changes_no_gradient() -> None:
    rows, old, new = problem(4, [2, 2], [3, 1], torch.float64)
    # A shift of every anchor along one direction that all features share adds the same to all.
    shared = torch.zeros(1, WIDTH, dtype=torch.float64)
    shared[0, 0] = 1.0
    level = rows._replace(features=torch.cat([rows.features[:, 1:], torch.ones(90, 1).double()], 1))
    level = level._replace(features=level.features.roll(1, dims=1))
    plain = loss_and_gradients(level, old, new, normaliser=1.0)
    shifted = loss_and_gradients(
        level,
        old._replace(anchors=old.anchors + 5 * shared),
        new._replace(anchors=new.anchors + 5 * shared),
        normaliser=1.0,
    )
    torch.testing.assert_close(shifted.memory, plain.memory)
    torch.testing.assert_close(shifted.loss, plain.loss)
