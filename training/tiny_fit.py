"""The two stages of training: the text tower on the classifier's rows, then both on images."""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from training.tiny_texts import Caption, draw
from training.tiny_towers import encode_tokens, last_stage

TEXT_BATCH = 256
IMAGE_BATCH = 192
# How sharply two captions' teachers are told apart by their likeness to the classes' rows.
SHARPNESS = 25.0
LONGEST_TEXT = 64
KIND_TEMPLATES = {
    "sketch": ("a sketch of a {}.", "a drawing of a {}.", "a photo of a {}."),
    "photo": ("a photo of a {}.", "a picture of a {}.", "a {}."),
    "clip art": ("clip art of a {}.", "a drawing of a {}.", "a photo of a {}."),
    "emoji": ("an emoji of a {}.", "a drawing of a {}.", "{}."),
}

Tokenizer = Callable[[list[str]], torch.Tensor]


@dataclass(frozen=True)
class Teacher:
    """Captions, their unit teachers in the embedding space, and the 1,000 classes' own."""

    captions: list[Caption]
    rows: torch.Tensor
    class_rows: torch.Tensor
    tokenizer: Tokenizer

    def loss(self, model: nn.Module, numbers: np.ndarray, rng: random.Random) -> torch.Tensor:
        """How far the captions' embeddings lie from their teachers."""
        drawn = [self.captions[number] for number in numbers]
        tokens = self.tokenizer([caption.text(rng)[:LONGEST_TEXT] for caption in drawn])
        embedded = encode_tokens(model, tokens)
        wanted = self.rows[[caption.teacher for caption in drawn]]
        likeness = functional.log_softmax(SHARPNESS * embedded @ self.class_rows.T, dim=1)
        target = functional.softmax(SHARPNESS * wanted @ self.class_rows.T, dim=1)
        divergence = functional.kl_div(likeness, target, reduction="batchmean")
        return divergence + 1 - (embedded * wanted).sum(dim=1).mean()


@dataclass(frozen=True)
class ImageMaps:
    """What the frozen part of the tower made of the labelled images."""

    maps: torch.Tensor
    labels: Sequence[str]
    kinds: Sequence[str]


def text_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The text tower's parameters."""
    named = model.named_parameters()
    return [p for name, p in named if not name.startswith("visual.") and name != "logit_scale"]


def fit_text(model: nn.Module, teacher: Teacher, steps: int, seed: int) -> None:
    """Stage one: every caption's embedding goes to its teacher's."""
    rng = random.Random(seed)
    numbers = draw(teacher.captions, TEXT_BATCH * steps, seed).reshape(steps, TEXT_BATCH)
    optimizer = torch.optim.AdamW(
        text_parameters(model), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.0
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps, pct_start=0.1)
    progress = Progress("text", steps)
    for batch in numbers:
        loss = teacher.loss(model, batch, rng)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        progress.step(loss.item())


def fit_both(
    model: Any, teacher: Teacher, images: ImageMaps, steps: int, seed: int, rate: float = 1e-4
) -> None:
    """Stage two: images and captions of one label go together; both towers stay near stage one.

    Only the tower's last stage and the projection move, with batch statistics frozen; the pooled
    features are held near the start tower's.
    """
    rng, picks = random.Random(seed), np.random.default_rng(seed)
    visual = model.visual
    with torch.no_grad():
        start = torch.cat(
            [last_stage(visual.trunk, m.float()) for m in torch.split(images.maps, 512)]
        )
        start_weight = visual.head.proj.weight.clone()
    tower = [p for part in tower_end(visual.trunk) for p in part.parameters()]
    groups = [
        {"params": tower, "lr": rate / 2},
        {"params": list(visual.head.parameters()), "lr": rate},
        {"params": text_parameters(model), "lr": 5 * rate},
        {"params": [model.logit_scale], "lr": 5 * rate},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), weight_decay=0.0)
    peaks = [float(group["lr"]) for group in optimizer.param_groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, steps, pct_start=0.1)
    numbers = draw(teacher.captions, TEXT_BATCH * steps, seed + 1).reshape(steps, TEXT_BATCH)
    chances = _chances(images.labels)
    progress = Progress("both", steps)
    for batch in numbers:
        chosen = picks.choice(len(chances), IMAGE_BATCH, replace=False, p=chances)
        features = last_stage(visual.trunk, images.maps[chosen].float())
        embedded = functional.normalize(visual.head(features), dim=1)
        texts = [_caption(images.labels[i], images.kinds[i], rng) for i in chosen]
        captions = encode_tokens(model, teacher.tokenizer(texts))
        logits = model.logit_scale.exp() * embedded @ captions.T
        loss = _contrastive(logits, [images.labels[i] for i in chosen])
        loss = loss + teacher.loss(model, batch, rng)
        away = (features - start[chosen]).square().mean() / start[chosen].var()
        turned = (visual.head.proj.weight - start_weight).square().sum()
        loss = loss + 2 * away + 2 * turned / start_weight.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        model.logit_scale.data.clamp_(0, math.log(100))
        progress.step(loss.item())


def tower_end(trunk: Any) -> list[nn.Module]:
    """The last stage of the image tower, which stage two moves."""
    return [trunk.blocks[-1], trunk.conv_head, trunk.bn2]


def _contrastive(logits: torch.Tensor, labels: list[str]) -> torch.Tensor:
    same = torch.tensor([[a == b for b in labels] for a in labels], dtype=torch.float32)
    target = same / same.sum(dim=1, keepdim=True)
    across = functional.cross_entropy(logits, target)
    return (across + functional.cross_entropy(logits.T, target)) / 2


def _chances(labels: Sequence[str]) -> np.ndarray:
    counts: dict[str, int] = {}
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
    weights = np.array([counts[label] ** -0.5 for label in labels])
    chances: np.ndarray = weights / weights.sum()
    return chances


def _caption(label: str, kind: str, rng: random.Random) -> str:
    return rng.choice(KIND_TEMPLATES[kind]).format(label)[:LONGEST_TEXT]


class Progress:
    """A line on the standard output every fiftieth step."""

    def __init__(self, name: str, steps: int) -> None:
        self.name, self.steps, self.done, self.total = name, steps, 0, 0.0
        self.started = time.monotonic()

    def step(self, loss: float) -> None:
        """Count one step."""
        self.done, self.total = self.done + 1, self.total + loss
        if self.done % 50 == 0 or self.done == self.steps:
            since = time.monotonic() - self.started
            left = since / self.done * (self.steps - self.done)
            mean = self.total / ((self.done - 1) % 50 + 1)
            print(
                f"  {self.name} {self.done}/{self.steps} loss {mean:.3f} {left:.0f} s left",
                flush=True,
            )
            self.total = 0.0
