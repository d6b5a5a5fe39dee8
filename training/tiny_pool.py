"""The pool of views that the second image tower learns from, with the first tower's answers.

The first tower sees every view once. What it says of each of 4x4 places is kept, in half precision
and in the joint space; the mean over the places is its embedding.

Shapes: N views · S side of the second tower's input · P places, 16 · D feature width, 512
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from training.tiny_views import mixed_in, view

BATCH = 128
PLACES = 16


@dataclass(frozen=True)
class Picture:
    """A picture, how often it is looked at beside others of its kind, and its kind's number."""

    pixels: np.ndarray
    weight: float
    kind: int


@dataclass(frozen=True)
class Kind:
    """A kind of pictures: its share of all views, and what share of these is small and grey."""

    name: str
    share: float
    small: float


@dataclass(frozen=True)
class Pool:
    """Views (N, S, S, 3) uint8, the first tower's answers (N, P, D) float16, their kinds (N,)."""

    views: np.ndarray
    answers: np.ndarray
    kinds: np.ndarray


def read_pool(folder: Path) -> Pool:
    """What `fill_pool` has written to `folder`, in memory."""
    parts = sorted(folder.glob("views-*.npy"))

    def joined(name: str) -> np.ndarray:
        files = [part.with_name(part.name.replace("views", name)) for part in parts]
        return np.concatenate([np.load(file) for file in files])

    return Pool(joined("views"), joined("answers"), joined("kinds"))


def fill_pool(
    folder: Path,
    pictures: Sequence[Picture],
    kinds: Sequence[Kind],
    tower: Any,
    *,
    views: int,
    side: int,
    seed: int,
) -> None:
    """Write `views` views of `pictures` and what `tower` says of them, a few thousand a file.

    Files that are there already are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    chances = _chances(pictures, kinds)
    for number, first in enumerate(range(0, views, 32 * BATCH)):
        path = folder / f"views-{number:03}.npy"
        if path.exists():
            continue
        count = min(32 * BATCH, views - first)
        picks = np.random.default_rng((seed, number)).choice(len(pictures), count, p=chances)
        rng = random.Random(f"{seed} {number}")
        drawn = [pictures[pick] for pick in picks]
        made = [
            np.asarray(view(Image.fromarray(one.pixels), rng, small=kinds[one.kind].small))
            for one in drawn
        ]
        pixels = np.stack(mixed_in(made, rng))
        answers = np.concatenate(
            [answer(tower, pixels[i : i + BATCH]) for i in range(0, count, BATCH)]
        )
        np.save(path.with_name(f"answers-{number:03}.npy"), answers)
        numbers = np.array([one.kind for one in drawn], dtype=np.uint8)
        np.save(path.with_name(f"kinds-{number:03}.npy"), numbers)
        np.save(path.with_suffix(".new.npy"), smaller(pixels, side))
        path.with_suffix(".new.npy").rename(path)
        print(f"  {first + count} views", flush=True)


def _chances(pictures: Sequence[Picture], kinds: Sequence[Kind]) -> np.ndarray:
    """How often each picture is drawn: its part of its kind's weights, times the kind's share."""
    weights = np.array([picture.weight for picture in pictures])
    numbers = np.array([picture.kind for picture in pictures])
    totals = np.bincount(numbers, weights, minlength=len(kinds))
    chances = weights / totals[numbers] * np.array([kind.share for kind in kinds])[numbers]
    shares: np.ndarray = chances / chances.sum()
    return shares


def answer(tower: Any, pixels: np.ndarray) -> np.ndarray:
    """What the first tower says of views (N, 128, 128, 3) uint8, place by place: (N, P, D)."""
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        maps: Tensor = tower.trunk.forward_features(images)
        said: Tensor = tower.head(maps.flatten(2).transpose(1, 2))
    half: np.ndarray = said.half().numpy()
    return half


def smaller(pixels: np.ndarray, side: int) -> np.ndarray:
    """Views (N, 128, 128, 3) as the second tower's transform makes them: (N, S, S, 3)."""
    resized = [
        np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC))
        for one in pixels
    ]
    return np.stack(resized)
