"""The text tower: cut prompts where that is exact, full length everywhere else; the tuner."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from adapters.errors import SettingsError
from adapters.towers.text_tower import Path, TextTower
from workers.images.torchvision_ops import ensure_torchvision_imports

CONTEXT, VOCABULARY, END = 20, 50, 49
VISION = {"image_size": 16, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16}
TEXT = {
    "context_length": CONTEXT,
    "vocab_size": VOCABULARY,
    "width": 32,
    "heads": 2,
    "layers": 3,
}


@pytest.fixture(autouse=True)
def same_weights() -> Iterator[None]:
    """open_clip draws weights from the global random state."""
    state = torch.get_rng_state()
    torch.manual_seed(0)
    yield
    torch.set_rng_state(state)


def build(kind: str, **text: object) -> nn.Module:
    ensure_torchvision_imports()
    from open_clip import model as models

    text_cfg: Any = models.CLIPTextCfg(**{**TEXT, **text})
    built: nn.Module = getattr(models, kind)(
        embed_dim=24, vision_cfg=models.CLIPVisionCfg(**VISION), text_cfg=text_cfg
    )
    return built.eval()


def build_coca() -> nn.Module:
    ensure_torchvision_imports()
    from open_clip.coca_model import CoCa, MultimodalCfg
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg

    built: nn.Module = CoCa(
        embed_dim=24,
        multimodal_cfg=MultimodalCfg(
            context_length=CONTEXT, vocab_size=VOCABULARY, width=32, heads=2, layers=1
        ),
        text_cfg=CLIPTextCfg(**{**TEXT, "embed_cls": True, "output_tokens": True}),
        vision_cfg=CLIPVisionCfg(**VISION, attentional_pool=True, output_tokens=True),
    ).eval()
    return built


def build_with_padding_mask() -> nn.Module:
    model = build("CustomTextCLIP", no_causal_mask=True)
    text: Any = model.text
    text.use_pad_mask = True
    return model


class ForeignTower(nn.Module):
    """Like a Hugging Face tower: no blocks that we know."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer = nn.Linear(2, 2)


class ForeignModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.text = ForeignTower()
        self.table = nn.Embedding(VOCABULARY, 24)

    def encode_text(self, tokens: Tensor) -> Tensor:
        features: Tensor = self.table(tokens).mean(dim=1)
        return features


def prompts() -> Tensor:
    tokens = torch.zeros(4, CONTEXT, dtype=torch.int64)
    for row, length in enumerate((3, 7, 5, 4)):
        tokens[row, : length - 1] = torch.randint(1, END, (length - 1,))
        tokens[row, length - 1] = END
    return tokens


BUILDERS = {
    "CLIP": lambda: build("CLIP"),
    "CustomTextCLIP": lambda: build("CustomTextCLIP"),
    "CLIP with an end token id": lambda: build("CLIP", pool_type="eos", eos_id=END),
    "CustomTextCLIP with an end token id": lambda: build(
        "CustomTextCLIP", pool_type="eos", eos_id=END
    ),
    "CLIP with other blocks": lambda: build("CLIP", scale_attn=True, ls_init_value=0.1),
    "CLIP with a biased projection": lambda: build("CLIP", proj_bias=True),
    "CoCa": build_coca,
    "SigLIP": lambda: build(
        "CustomTextCLIP", no_causal_mask=True, pool_type="last", proj_bias=True
    ),
    "not causal": lambda: build("CustomTextCLIP", no_causal_mask=True),
    "padding mask": build_with_padding_mask,
    "first token": lambda: build("CLIP", pool_type="first"),
    "foreign": ForeignModel,
}
CUT = [name for name in BUILDERS if name.startswith("C") and name != "CoCa"]


@pytest.mark.parametrize("kind", BUILDERS)
def test_only_causal_towers_read_at_their_end_token_are_cut(kind: str) -> None:
    assert TextTower(BUILDERS[kind]()).path == ("cut" if kind in CUT else "full")


@pytest.mark.parametrize("kind", CUT)
def test_prompts_are_cut_behind_the_longest(kind: str) -> None:
    assert TextTower(BUILDERS[kind]()).cut_length(prompts()) == 7


@pytest.mark.parametrize("kind", BUILDERS)
def test_features_equal_the_models_own(kind: str) -> None:
    model, tokens = BUILDERS[kind](), prompts()
    encode: Any = model.encode_text
    extra = {"normalize": False} if kind == "CoCa" else {}
    with torch.no_grad():
        expected = encode(tokens, **extra)
        found = TextTower(model).features(tokens)
    # Sums of another length round differently.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [name for name in BUILDERS if name != "foreign"])
def test_a_fresh_tuner_changes_nothing_bit_for_bit(kind: str) -> None:
    tower, tokens = TextTower(BUILDERS[kind]()), prompts()
    tuner = tower.fresh_tuner(bottleneck=4, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():  # attention takes another kernel where gradients are wanted
        assert torch.equal(tower.features(tokens, tuner), tower.features(tokens))


@pytest.mark.parametrize("kind", CUT)
def test_gradients_of_cut_prompts_equal_those_of_padded_ones(kind: str) -> None:
    model, tokens = BUILDERS[kind](), prompts()
    gradients = []
    paths: tuple[Path, Path] = ("cut", "full")
    for path in paths:
        tower = TextTower(model)
        assert tower.path == "cut"
        tower.path = path
        tuner = tower.fresh_tuner(bottleneck=4, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            for branch in tuner.parameters():
                branch.add_(0.1)
        tower.features(tokens, tuner).square().sum().backward()  # type: ignore[no-untyped-call]
        gradients.append([branch.grad for branch in tuner.parameters()])
    for cut, padded in zip(*gradients, strict=True):
        torch.testing.assert_close(cut, padded, rtol=1e-3, atol=1e-5)


def test_nothing_but_the_tuner_gets_a_gradient() -> None:
    model = build("CLIP")
    tower = TextTower(model)
    tuner = tower.fresh_tuner(bottleneck=4, generator=torch.Generator().manual_seed(1))
    tower.features(prompts(), tuner).sum().backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.grad is not None for parameter in tuner.parameters())


def test_cutting_a_class_token_tower_would_be_wrong() -> None:
    model, tokens = build_coca(), prompts()
    text: Any = model.text
    with torch.no_grad():
        assert not torch.allclose(text(tokens[:, :7])[0], text(tokens)[0], atol=1e-3)


def test_a_foreign_tower_takes_no_tuner() -> None:
    tower = TextTower(ForeignModel())
    with pytest.raises(SettingsError, match="residual"):
        tower.fresh_tuner(bottleneck=4, generator=torch.Generator())


@pytest.mark.parametrize("kind", [name for name in BUILDERS if name != "foreign"])
def test_a_context_of_the_tokens_own_vectors_changes_nothing(kind: str) -> None:
    """What stands in the free places is replaced: with its own embedding it is a prompt as any."""
    model, tokens = BUILDERS[kind](), prompts()
    tower = TextTower(model)
    spaced = tower.spaced(tokens, places=3)
    text: Any = getattr(model, "text", model)
    context = text.token_embedding(tokens[:1, 0]).detach().expand(3, -1)
    same = spaced[:1]
    with torch.no_grad():
        found = tower.features(same, context=context)
        torch.testing.assert_close(found, tower.features(same), rtol=1e-4, atol=1e-5)
        other = tower.features(same, context=torch.randn(3, 32))
    # A tower that reads its first token and sees no later one knows nothing of a context.
    assert torch.allclose(found, other, atol=1e-3) is (kind == "first token")


@pytest.mark.parametrize("kind", [name for name in BUILDERS if name != "foreign"])
def test_gradients_reach_every_vector_of_a_context_and_no_weight(kind: str) -> None:
    tower = TextTower(BUILDERS[kind]())
    context = torch.zeros(3, 32, requires_grad=True)
    tower.features(tower.spaced(prompts(), places=3), context=context)[:, 0].sum().backward()  # type: ignore[no-untyped-call]
    assert context.grad is not None
    reads_it = kind != "first token"
    assert bool(context.grad.abs().sum(dim=1).all()) is reads_it


def test_free_places_come_behind_the_first_token_and_a_long_prompt_keeps_its_end() -> None:
    tower = TextTower(build("CLIP"))
    tokens = prompts()
    tokens[0, : CONTEXT - 2] = torch.arange(1, CONTEXT - 1)
    tokens[0, CONTEXT - 2] = END
    found = tower.spaced(tokens, places=4)
    assert found.shape == tokens.shape
    assert found[0].tolist() == [1, 1, 1, 1, 1, *range(2, CONTEXT - 4), END]
    assert found[2, 5:].tolist() == tokens[2, 1 : CONTEXT - 4].tolist()
    assert tower.cut_length(found[1:]) == tower.cut_length(tokens[1:]) + 4


@pytest.mark.parametrize("kind", ["foreign", "CLIP"])
def test_a_tower_without_known_blocks_or_without_room_takes_no_context(kind: str) -> None:
    with pytest.raises(SettingsError, match="prompts 'none'"):
        TextTower(BUILDERS[kind]()).spaced(prompts(), places=CONTEXT - 2)
