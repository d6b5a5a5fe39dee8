"""A small random vision transformer, and tasks of made-up pictures to learn with it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from adapters.contract.adapter_state import AdapterState, SharedState
from adapters.contract.learning import learn
from adapters.contract.method import Method
from adapters.contract.task_features import TaskFeatures
from adapters.contract.training_inputs import TrainingInputs
from adapters.towers.image_side import ImageSide
from adapters.towers.image_tower import FrozenImageTower
from adapters.towers.text_side import TextSide
from tests.adapters.synthetic import entries, unit_rows
from workers.images.torchvision_ops import ensure_torchvision_imports

WIDTH, BLOCKS, FEATURES = 64, 4, 24
WHOLE = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 4, "width": 64, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
"""A CLIP that reads prompts too, whose image tower is a ViT of width 64 and 4 blocks."""
SCALE = 20.0
VISION = {"image_size": 64, "patch_size": 16, "width": WIDTH, "layers": BLOCKS, "head_width": 16}
TEXT = {"context_length": 16, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}


def random_clip(folder: Path) -> Path:
    """Write a random CLIP of that shape as open_clip writes models, and return its folder."""
    ensure_torchvision_imports()
    import open_clip

    folder.mkdir()
    torch.manual_seed(0)
    model = open_clip.CLIP(**WHOLE)
    config = {"model_cfg": WHOLE, "preprocess_cfg": {"size": 64}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def clip(**changes: object) -> Any:
    """Return a random CLIP with such a tower; `changes` are of its `vision_cfg`."""
    ensure_torchvision_imports()
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    vision: Any = {**VISION, **changes}
    text: Any = TEXT
    torch.manual_seed(0)
    return CLIP(
        embed_dim=FEATURES, vision_cfg=CLIPVisionCfg(**vision), text_cfg=CLIPTextCfg(**text)
    )


def tower(**changes: object) -> FrozenImageTower:
    """Return its image tower."""
    return FrozenImageTower(
        clip(**changes), normalised=lambda pixels: pixels.float() / 128 - 1, fingerprint="vit"
    )


class Pictures:
    """A `PixelSource` of pictures that are a class's own pattern under an image's own noise."""

    def __init__(self, labels: Tensor, *, seed: int) -> None:
        self._labels, self._seed = labels, seed
        self.digest = f"pictures {seed} {labels.tolist()}"

    def __call__(self, images: Sequence[int], *, view: int = 0) -> Tensor:
        """See `PixelSource`; (n, 3, 64, 64) uint8."""
        return torch.stack([self._picture(image, view) for image in images])

    def _picture(self, image: int, view: int) -> Tensor:
        label = int(self._labels[image])
        pattern = torch.rand(3, 8, 8, generator=_generator(self._seed, label))
        large = pattern.repeat_interleave(8, 1).repeat_interleave(8, 2)
        noise = torch.rand(3, 64, 64, generator=_generator(self._seed, 100 + image, view))
        return (255 * (0.8 * large + 0.2 * noise)).to(torch.uint8)


def task_of(
    base: FrozenImageTower,
    name: str,
    *,
    seed: int,
    classes: int = 3,
    images: int = 4,
    past: AdapterState | None = None,
    **settings: object,
) -> TrainingInputs:
    """Return the inputs of a task of pictures, `images` of each class."""
    labels = torch.arange(classes).repeat_interleave(images)
    pictures = Pictures(labels, seed=seed)
    features = base.features(pictures(range(len(labels))))
    return TrainingInputs(
        task=TaskFeatures(
            task=name,
            classes=entries(name, classes),
            features=features[:, None],
            labels=labels,
            encoder=base.fingerprint,
        ),
        past=past or AdapterState(),
        text=TextSide(features=unit_rows(classes, features.shape[1], seed=seed), logit_scale=SCALE),
        images=ImageSide(tower=base, pixels=pictures),
        settings=settings,
        seed=seed,
    )


def learnt_in_turn(
    method: Method, base: FrozenImageTower, *, tasks: int, **settings: Any
) -> list[AdapterState]:
    """Return the versions after each of some tasks of pictures, `task-0` and on."""
    states = [AdapterState()]
    for number in range(tasks):
        given = task_of(base, f"task-{number}", seed=number, past=states[-1], **settings)
        states.append(learn(method, given))
    return states[1:]


def with_shared(state: AdapterState, shared: SharedState | None) -> AdapterState:
    """Return the records of `state` with another shared state."""
    return AdapterState(records=state.records, shared=shared)


def _generator(*numbers: int) -> torch.Generator:
    seed = sum(number * 1_000_003**place for place, number in enumerate(numbers, 1))
    return torch.Generator().manual_seed(seed % 2**63)
