"""The ten image sets of `shared/datasets` under the tiny CLIP, in their fixed order.

Image features are encoded once and kept in a cache folder.

Shapes: N images · D feature width · C classes · L tokens
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import normalize

from adapters.randomness import generator
from adapters.records import ClassEntry
from adapters.task_features import TaskFeatures
from adapters.text_side import TextSide
from adapters.text_tower import TextTower
from benchmarks.encoder import read_set
from benchmarks.measured_set import MeasuredSet
from workers.torchvision_ops import ensure_torchvision_imports

SETS = (
    "caltech101",
    "chess_pieces",
    "dtd10",
    "eurosat",
    "fashion_mnist",
    "game_materials",
    "mnist",
    "openclipart",
    "quickdraw",
    "tuxpaint_stamps",
)
_ENCODER = "local-dir:" + str(Path(__file__).parents[1] / "workers" / "tiny_clip")
_ENCODED_AT_ONCE = 64


def labelled_sets(datasets: Path, *, cache: Path) -> list[MeasuredSet]:
    """Return the ten sets, encoded with the tiny CLIP."""
    ensure_torchvision_imports()
    import open_clip

    model, _, transform = open_clip.create_model_and_transforms(_ENCODER)
    tokenizer = open_clip.get_tokenizer(_ENCODER)
    tower = TextTower(model)
    scale = float(model.logit_scale.detach().exp())
    return [
        _labelled(name, datasets, cache, model, transform, tokenizer, tower, scale) for name in SETS
    ]


def _labelled(
    name: str,
    datasets: Path,
    cache: Path,
    model: Any,
    transform: Any,
    tokenizer: Any,
    tower: TextTower,
    scale: float,
) -> MeasuredSet:
    listed = read_set(datasets / name)
    arrays = cached_features(cache / f"{name}.npz", listed.train, listed.test, model, transform)
    classes = tuple(
        ClassEntry(class_id=f"{name}/{label}", name=label, prompt=f"a photo of a {label}.")
        for label in listed.classes
    )
    tokens = tokenizer([entry.prompt for entry in classes])
    with torch.no_grad():
        text_features = tower.features(tokens)
    task = TaskFeatures(
        task=name,
        classes=classes,
        features=arrays["train"][:, None],
        labels=torch.tensor([label for _, label in listed.train]),
        encoder="tiny_clip",
    )
    return MeasuredSet(
        task=task,
        text=TextSide(features=text_features, logit_scale=scale, tower=tower, tokens=tokens),
        held_out=arrays["test"],
        held_out_labels=torch.tensor([label for _, label in listed.test]),
    )


def cached_features(
    path: Path,
    train: Sequence[tuple[Path, int]],
    test: Sequence[tuple[Path, int]],
    model: Any,
    transform: Any,
) -> dict[str, Tensor]:
    """Return unit features of both splits, (N, D) float32, from `path` where it exists."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part.npz")
        encoded = {
            "train": encoded_images([file for file, _ in train], model, transform),
            "test": encoded_images([file for file, _ in test], model, transform),
        }
        np.savez(partial, train=encoded["train"].numpy(), test=encoded["test"].numpy())
        partial.replace(path)
    with np.load(path) as arrays:
        return {split: torch.from_numpy(arrays[split]) for split in ("train", "test")}


def encoded_images(files: Sequence[Path], model: Any, transform: Any) -> Tensor:
    """Return the images' unit features, (N, D) float32."""
    blocks = []
    with torch.no_grad():
        for start in range(0, len(files), _ENCODED_AT_ONCE):
            images = []
            for file in files[start : start + _ENCODED_AT_ONCE]:
                with Image.open(file) as image:
                    images.append(transform(image.convert("RGB")))
            blocks.append(normalize(model.encode_image(torch.stack(images)).float(), dim=-1))
    return torch.cat(blocks)


def few_shot(measured: MeasuredSet, *, shots: int, seed: int) -> MeasuredSet:
    """Return `measured` with at most `shots` training images per class, drawn by seed and class."""
    task, chosen = measured.task, []
    for index, entry in enumerate(task.classes):
        own = (task.labels == index).nonzero()[:, 0]
        order = torch.randperm(len(own), generator=generator(seed, "shots", entry.class_id))
        chosen.append(own[order[:shots]])
    kept = torch.cat(chosen)
    part = replace(task, features=task.features[kept], labels=task.labels[kept])
    return replace(measured, task=part)
