"""A small random CLIP with a vision transformer, and tasks of coloured noise for it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.adapter_state import AdapterState
from adapters.contract.learning import learn
from adapters.contract.task_features import TaskFeatures
from adapters.contract.training_inputs import TrainingInputs
from adapters.methods import METHODS
from adapters.towers.image_side import ImageSide
from adapters.towers.image_tower import FrozenImageTower
from adapters.towers.text_side import TextSide
from adapters.towers.text_tower import TextTower
from tests.adapters.synthetic import entries
from tests.support.scenes.vision import FEATURES, SCALE, Pictures
from workers.images.torchvision_ops import ensure_torchvision_imports

LENGTH = 20
_START, _END = 62, 63
QUICK: Mapping[str, Any] = {
    "rank": 2,
    "context": 4,
    "image_epochs": 2,
    "prompt_epochs": 2,
    "batch_size": 8,
    "replay_size": 8,
    "image_learning_rate": 1e-2,
}


@cache
def clip() -> Any:
    """Return the model: four blocks of width 64 that read images, two of 32 that read prompts."""
    ensure_torchvision_imports()
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return CLIP(
            embed_dim=FEATURES,
            vision_cfg=CLIPVisionCfg(
                image_size=64, patch_size=16, width=64, layers=4, head_width=16
            ),
            text_cfg=CLIPTextCfg(context_length=LENGTH, vocab_size=64, width=32, heads=2, layers=2),
        )


@cache
def tower() -> FrozenImageTower:
    """Return its image tower."""
    return FrozenImageTower(
        clip(), normalised=lambda pixels: pixels.float() / 128 - 1, fingerprint="small"
    )


def tokenizer(texts: Sequence[str]) -> Tensor:
    """Return tokens of `texts`, a token for each letter."""
    tokens = torch.zeros(len(texts), LENGTH, dtype=torch.int64)
    for row, text in zip(tokens, texts, strict=True):
        letters = [1 + ord(letter) % 60 for letter in text][: LENGTH - 2]
        row[: len(letters) + 2] = torch.tensor([_START, *letters, _END])
    return tokens


def given(
    name: str,
    past: AdapterState | None = None,
    *,
    classes: int = 3,
    images: int = 4,
    **settings: Any,
) -> TrainingInputs:
    """Return the inputs of the task `name` after `past`, under quick settings and `settings`."""
    labels = torch.arange(classes).repeat_interleave(images)
    source = Pictures(labels, seed=sum(map(ord, name)))
    known, text = entries(name, classes), TextTower(clip())
    tokens = tokenizer([entry.prompt for entry in known])
    with torch.no_grad():
        features = normalize(text.features(tokens), dim=-1)
    return TrainingInputs(
        task=TaskFeatures(
            task=name,
            classes=tuple(replace(entry, name=f"{name} {entry.name}") for entry in known),
            features=tower().features(source(range(len(labels))))[:, None],
            labels=labels,
            encoder="small",
        ),
        past=past or AdapterState(),
        text=TextSide(
            features=features,
            logit_scale=SCALE,
            tower=text,
            tokens=tokens,
            tokenizer=tokenizer,
        ),
        images=ImageSide(tower=tower(), pixels=source),
        settings={**QUICK, **settings},
        seed=5,
    )


@cache
def learnt(
    *names: str, method: str = "dmc_ot", past: AdapterState | None = None, **settings: Any
) -> AdapterState:
    """Return what a version holds once the tasks `names` are learnt one after the other.

    Nobody changes it: tests that ask for the same share one.
    """
    state = past or AdapterState()
    for name in names:
        state = learn(METHODS[method], given(name, state, **settings))
    return state
