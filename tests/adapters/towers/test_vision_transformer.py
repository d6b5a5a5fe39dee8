"""A vision transformer taken apart: without changes the tower's own, then with all kinds."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.functional import normalize

from adapters.errors import SettingsError
from adapters.towers.vision_transformer import (
    AttentionChange,
    LowRank,
    VisionBlocks,
    check_transformer,
    merged,
)
from tests.support.scenes.vision import BLOCKS, WIDTH, clip, tower

RANK = 3
SHAPES: dict[str, dict[str, object]] = {
    "by token": {},
    "by mean": {"pool_type": "avg"},
    "normalised after pooling": {"final_ln_after_pool": True},
    "with layer scale": {"ls_init_value": 0.1},
}


def change(seed: int, *, sets: int = 0, up: float = 0.5) -> AttentionChange:
    generator = torch.Generator().manual_seed(seed)
    leading = (sets,) if sets else ()

    def low_rank() -> LowRank:
        return LowRank(
            down=torch.randn(*leading, RANK, WIDTH, generator=generator) / 8,
            up=torch.randn(*leading, WIDTH, RANK, generator=generator) * up,
            weight=torch.rand(leading, generator=generator) + 0.5,
        )

    return AttentionChange(query=low_rank(), value=low_rank())


def pixels(images: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (images, 3, 64, 64), generator=generator, dtype=torch.uint8)


def features(blocks: VisionBlocks, *changes: AttentionChange | None) -> Tensor:
    tokens = blocks.embedded(pixels())
    for index, one in enumerate(changes):
        tokens = blocks.through(index, tokens, one)
    return normalize(blocks.projected(blocks.pooled(tokens)), dim=-1)


@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_without_a_change_features_are_the_towers_own(shape: str) -> None:
    base = tower(**SHAPES[shape])
    blocks = VisionBlocks(base, by="a method")
    assert (blocks.count, blocks.width) == (BLOCKS, WIDTH)
    for changes in ([None] * BLOCKS, [change(1, up=0.0)] * BLOCKS):
        torch.testing.assert_close(
            features(blocks, *changes), base.features(pixels()), atol=1e-6, rtol=0
        )


@torch.no_grad()
def test_sets_of_changes_beside_each_other_are_what_each_one_does_alone() -> None:
    blocks = VisionBlocks(tower(), by="a method")
    together = change(2, sets=5)
    tokens = blocks.through(0, blocks.embedded(pixels()).expand(5, -1, -1, -1), together)
    found = blocks.projected(blocks.pooled(tokens))
    for index in range(5):
        alone = AttentionChange(query=_of(together.query, index), value=_of(together.value, index))
        expected = blocks.through(0, blocks.embedded(pixels()), alone)
        torch.testing.assert_close(
            found[index], blocks.projected(blocks.pooled(expected)), atol=1e-5, rtol=1e-5
        )


def _of(change: LowRank, index: int) -> LowRank:
    assert isinstance(change.weight, Tensor)
    return LowRank(down=change.down[index], up=change.up[index], weight=change.weight[index])


@settings(max_examples=20, deadline=None)
@given(where=st.sets(st.integers(0, BLOCKS - 1)), seed=st.integers(0, 100))
@torch.no_grad()
def test_merged_changes_give_the_same_features_and_leave_the_tower_alone(
    where: set[int], seed: int
) -> None:
    base = tower()
    before = {name: each.clone() for name, each in base.visual.named_parameters()}
    changes = {index: change(seed + index) for index in where}
    found = normalize(merged(base.visual, changes)(base.prepared(pixels())).float(), dim=-1)
    expected = features(VisionBlocks(base, by="a method"), *map(changes.get, range(BLOCKS)))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert all(torch.equal(each, before[name]) for name, each in base.visual.named_parameters())


def test_a_merged_tower_shares_all_that_is_not_changed() -> None:
    visual = tower().visual
    changed = merged(visual, {1: change(1)})
    own = {
        name
        for name, each in changed.named_parameters()
        if each is not dict(visual.named_parameters())[name]
    }
    assert own == {"transformer.resblocks.1.attn.in_proj_weight"}


def test_gradients_reach_the_change_and_nothing_else() -> None:
    base = tower()
    blocks = VisionBlocks(base, by="a method")
    trained = change(3)
    parameters = [trained.query.down, trained.query.up, trained.value.down, trained.value.up]
    for parameter in parameters:
        parameter.requires_grad_()
    features(blocks, None, trained, None, None).sum().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in parameters)
    assert all(each.grad is None for each in base.visual.parameters())


class Trunk(nn.Module):
    """A tower of another library, inside one of open_clip."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Conv2d(3, 8, 3)


OTHERS = {
    "a tower of another library": (Trunk, "found Conv2d"),
    "a tower that pools by attention": (
        lambda: clip(attentional_pool=True).visual,
        "found VisionTransformer",
    ),
    "blocks of another kind": (lambda: clip(qk_norm=True).visual, "found VisionTransformer"),
    "a convolutional tower of CLIP": (
        lambda: clip(layers=(1, 1, 1, 1), width=16, patch_size=None).visual,
        "found ModifiedResNet",
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_any_other_tower_is_refused_by_name(kind: str) -> None:
    made, sentence = OTHERS[kind]
    with pytest.raises(SettingsError, match=rf"'cl_lora' changes the attention.*{sentence}"):
        check_transformer(made(), by="cl_lora")
