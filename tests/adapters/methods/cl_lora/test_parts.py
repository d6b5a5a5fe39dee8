"""The parts of CL-LoRA by themselves: sizes, how changes begin, losses, and the layout on paths."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from adapters.contract.randomness import generator
from adapters.errors import SettingsError
from adapters.methods.cl_lora.changes import BlockChanges, first_changes
from adapters.methods.cl_lora.objective import (
    CosineHead,
    distillation,
    orthogonality,
    row_weights,
)
from adapters.methods.cl_lora.parameters import TaskParameters
from adapters.methods.cl_lora.paths import against_paths, on_paths, paths_of
from adapters.methods.cl_lora.settings import ClLoraSettings
from adapters.methods.cl_lora.split_tower import SplitTower
from tests.support.scenes.vision import BLOCKS, WIDTH, task_of, tower

CPU = torch.device("cpu")
SIZES = [
    # rank; trained for the first task without the head, and for a later one; the shared Down
    (10, 276_498, 184_338, 92_160),
    (8, 221_202, 147_474, 73_728),
]


@pytest.mark.parametrize(("rank", "first", "later", "down"), SIZES)
def test_sizes_on_a_vit_b_are_the_published_ones(
    rank: int, first: int, later: int, down: int
) -> None:
    with torch.device("meta"):  # shapes alone
        large = tower(width=768, layers=12, head_width=64)
    chosen = ClLoraSettings(rank=rank, head="text")
    split = SplitTower(large, space=chosen.space)
    learnt = TaskParameters(task_of(tower(), "first", seed=1), chosen, split, device=CPU)
    sizes = {name: each.numel() for name, each in learnt.named.items()}
    assert sum(sizes.values()) == first
    assert sum(sizes.values()) - sizes["up"] == later
    assert learnt.down.numel() == down == sizes["up"]
    assert sizes["block_weights"] == 18


@settings(max_examples=20)
@given(rank=st.integers(1, 16), seed=st.integers(0, 999))
def test_changes_begin_with_orthonormal_directions_and_change_nothing(rank: int, seed: int) -> None:
    begun = first_changes(blocks=2, rank=rank, width=16, seed=seed, names=["a"], weighted=True)
    products = begun.down @ begun.down.mT
    torch.testing.assert_close(products, torch.eye(rank).expand_as(products), atol=1e-6, rtol=0)
    assert not begun.up.any()
    assert begun.weights is not None
    assert 0.5 <= float(begun.weights.min()) <= float(begun.weights.max()) < 1.5
    other = first_changes(blocks=2, rank=rank, width=16, seed=seed, names=["b"], weighted=True)
    assert not torch.equal(begun.down, other.down)


@pytest.mark.parametrize("shape", [{}, {"pool_type": "avg"}, {"final_ln_after_pool": True}])
@torch.no_grad()
def test_the_first_forward_is_the_bare_towers(shape: dict[str, object]) -> None:
    base = tower(**shape)
    given = task_of(base, "first", seed=1)
    split = SplitTower(base, space="joint")
    learnt = TaskParameters(given, ClLoraSettings(), split, device=CPU)
    _, source = given.images.required(by="a test")
    pixels = source(range(12))
    found = split.upper(split.lower(pixels, learnt.shared()), learnt.own())
    torch.testing.assert_close(found, base.features(pixels), atol=1e-6, rtol=0)


@settings(max_examples=30)
@given(seed=st.integers(0, 999), zeros=st.integers(0, 6))
def test_row_weights_are_one_on_average_for_every_block_and_projection(
    seed: int, zeros: int
) -> None:
    up = torch.randn(2, 3, 8, 4, generator=generator(seed, "up"))
    up[1, 2, :zeros] = 0.0
    found = row_weights(up)
    torch.testing.assert_close(found.mean(dim=-2), torch.ones(2, 3, 1))
    assert not found[1, 2, :zeros].any()
    # Of one block alone, whatever the others are.
    torch.testing.assert_close(found[0, 1], row_weights(up[0, 1]))


def test_row_weights_of_a_change_that_is_zero_are_one() -> None:
    up = torch.randn(2, 3, 8, 4, generator=generator(1, "up"))
    up[0, 1] = 0.0
    assert torch.equal(row_weights(up)[0, 1], torch.ones(8, 1))
    assert torch.equal(row_weights(torch.zeros(2, 3, 8, 4)), torch.ones(2, 3, 8, 1))


def test_distillation_is_a_cross_entropy_without_a_factor() -> None:
    student, teacher = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 4.0]])
    target = torch.tensor([0.0, 2.0]).softmax(dim=0)
    expected = -(target * torch.tensor([1.0, 0.0]).log_softmax(dim=0)).sum()
    torch.testing.assert_close(distillation(student, teacher, temperature=2.0), expected)


def test_a_heads_logits_are_scaled_cosines_of_features_of_any_length() -> None:
    rows = torch.tensor([[3.0, 0.0], [0.0, 0.5]])
    logits = CosineHead(rows, 2.0).logits(torch.tensor([[0.0, 7.0], [1.0, 1.0]]))
    half = 2**0.5
    torch.testing.assert_close(logits, torch.tensor([[0.0, 2.0], [half, half]]))


def test_fresh_block_weights_are_nearly_parallel() -> None:
    """Why the orthogonality term is practically inert."""
    drawn = 0.5 + torch.rand(400, 3, 6, generator=generator(1, "block weights"))
    found = orthogonality(drawn[0], drawn[1:])
    by_hand = torch.stack(
        [(drawn[0] * each).sum() / (drawn[0].norm() * each.norm()) for each in drawn[1:]]
    )
    torch.testing.assert_close(found, by_hand.mean())
    pairs = [orthogonality(one, drawn[place + 1 :][:20]) for place, one in enumerate(drawn[:300])]
    assert float(torch.stack(pairs).mean()) == pytest.approx(0.927, abs=0.005)


@settings(max_examples=40)
@given(width=st.integers(1, 40), path=st.integers(2, 20), seed=st.integers(0, 99))
def test_vectors_on_paths_keep_their_cosines_and_are_unit_rows(
    width: int, path: int, seed: int
) -> None:
    draw = generator(seed, "vectors")
    images = 5 * torch.randn(4, width, generator=draw, dtype=torch.float64)
    prototypes = torch.randn(3, width, generator=draw, dtype=torch.float64)
    rows = on_paths(images, path=path)
    assert rows.shape == (4, paths_of(width, path=path), path)
    torch.testing.assert_close(rows.norm(dim=-1), torch.ones(rows.shape[:2], dtype=torch.float64))
    found = rows.flatten(1) @ against_paths(prototypes, path=path).t()
    expected = normalize(images, dim=1) @ normalize(prototypes, dim=1).t()
    torch.testing.assert_close(found, expected)


WRONG = [
    ({"rank": 0}, "setting 'rank': expected a whole number, at least 1"),
    ({"shared_blocks": 0}, "setting 'shared_blocks'"),
    ({"epochs": 1.5}, "setting 'epochs'"),
    ({"learning_rate": -1}, "setting 'learning_rate'"),
    ({"temperature": 0}, "setting 'temperature': expected a number above 0"),
    ({"detach_teacher": "no"}, "setting 'detach_teacher': expected true or false"),
    ({"step": "three_step"}, r"setting 'step': expected two_step \| one_step"),
    ({"calibrate": "ot"}, r"setting 'calibrate': expected none \| shift"),
    ({"head": "text", "space": "tower"}, "setting 'head': expected 'local' where 'space'"),
    ({"ranks": 4}, "did you mean 'rank'"),
]


@pytest.mark.parametrize(("chosen", "sentence"), WRONG)
def test_wrong_settings_are_refused(chosen: dict[str, object], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        ClLoraSettings.from_mapping(chosen)


def test_settings_are_read_back_as_they_were_written() -> None:
    chosen = ClLoraSettings(rank=4, shared_blocks=3, step="one_step", calibrate="shift")
    assert ClLoraSettings.from_mapping(chosen.as_mapping()) == chosen


def test_half_of_the_blocks_are_shared_unless_it_is_said() -> None:
    assert ClLoraSettings().shared_of(12) == 6
    assert ClLoraSettings(shared_blocks=BLOCKS - 1).shared_of(BLOCKS) == BLOCKS - 1
    with pytest.raises(SettingsError, match="below the tower's 4 blocks"):
        ClLoraSettings(shared_blocks=BLOCKS).shared_of(BLOCKS)
    with pytest.raises(SettingsError, match="at most the tower's width, 64"):
        ClLoraSettings(rank=WIDTH + 1).check_rank(WIDTH)


def test_one_change_of_several_tasks_is_taken_out_with_its_own_weight() -> None:
    draw = generator(3, "changes")
    down, up = (torch.randn(2, 2, *rest, generator=draw) for rest in ((3, 8), (8, 3)))
    weights = torch.rand(3, 2, generator=draw)
    changes = BlockChanges(down=down, up=up, weights=weights).of_block(1)
    x = torch.randn(5, 8, generator=draw)
    torch.testing.assert_close(changes.query(x), weights[0, 1] * x @ down[0, 1].T @ up[0, 1].T)
    torch.testing.assert_close(changes.value(x), weights[2, 1] * x @ down[1, 1].T @ up[1, 1].T)
