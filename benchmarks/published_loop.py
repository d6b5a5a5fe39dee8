"""LADA's training step as its published code takes it: gradients run through every tower.

In each step the batch's images run through the image tower and the prompts, 77 tokens each, through
the text tower, both with gradients for their own weights, which nothing uses; replay is drawn anew,
and every class's memory takes part in one dense product and in another with the matrix of labels.

Shapes: N images of the task · S side of an image · C classes of the task · D feature width
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

from adapters.contract.randomness import generator
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.methods.lada.memory import initial_memory
from adapters.methods.lada.past import old_classes, replay_of
from adapters.methods.lada.settings import LadaSettings
from adapters.parts.batches import epoch_batch
from adapters.towers.text_side import TextSide
from workers.encoding.encoder import Encoder

_AT_ONCE = 16
"""Images whose graph is held at once: all 64 of ViT-B-16 take ten gigabytes."""


@dataclass(kw_only=True, slots=True)
class PartSeconds:
    """Processor seconds of a loop's steps so far, by what they were spent on."""

    images: float = 0.0
    prompts: float = 0.0
    classifier: float = 0.0

    @property
    def total(self) -> float:
        """All of them."""
        return self.images + self.prompts + self.classifier


class PublishedLoop:
    """The published loop. Alpha and beta are 1; precision is float32.

    Args:
        task: The task; its features are used for nothing but the memory's beginning.
        pixels: (N, 3, S, S) uint8, its images.
        past: Records with memory, oldest first.
        text: Its text side, with tower and tokens.
        encoder: The towers. Their parameters are made to require gradients.
        settings: Of LADA.
        seed: Names the draws, the same as LadaLearner's.
    """

    def __init__(
        self,
        task: TaskFeatures,
        pixels: Tensor,
        past: Sequence[Record],
        *,
        text: TextSide,
        encoder: Encoder,
        settings: LadaSettings,
        seed: int,
    ) -> None:
        self.seconds = PartSeconds()
        self._task, self._pixels, self._encoder = task, pixels, encoder
        self._settings, self._seed = settings, seed
        assert text.tower is not None and text.tokens is not None
        self._tower, self._tokens, self._scale = text.tower, text.tokens, text.logit_scale
        self._tower.path = "full"
        encoder.model.requires_grad_(True)
        self._replay = replay_of(past, settings, width=task.width)
        self._old_anchors = old_classes(
            past, scale=1.0, width=task.width, dtype=torch.float32, device=torch.device("cpu")
        ).anchors
        self._old_memory = torch.cat([record.tensors["memory"] for record in past])
        memory, offsets = initial_memory(task, vectors=settings.memory_per_class, seed=seed)
        self.memory = torch.nn.Parameter(memory)
        self._tuner = self._tower.fresh_tuner(
            bottleneck=settings.bottleneck, generator=generator(seed, "tuner")
        )
        sizes = [record.tensors["memory_offsets"].diff() for record in past]
        counts = torch.cat([*sizes, offsets.diff()])
        self._label_matrix = one_hot(torch.arange(len(counts)).repeat_interleave(counts)).float()
        self._steps_done = 0
        self._optimiser = torch.optim.AdamW(
            [self.memory, *self._tuner.parameters()],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser,
            max_lr=settings.learning_rate,
            total_steps=settings.total_steps(classes=len(task.classes), images=len(task.labels)),
        )

    def step(self) -> float:
        """Take the next step and return its loss."""
        self._optimiser.zero_grad()
        text = self._timed("prompts", lambda: self._tower.features(self._tokens, self._tuner))
        # The graph is cut where the towers end, so that each tower's gradients can be timed apart;
        # they are the ones of one graph.
        anchors = text.detach().requires_grad_()
        chosen = epoch_batch(
            self._steps_done,
            images=len(self._pixels),
            size=self._settings.batch_size,
            seed=self._seed,
        )
        loss = 0.0
        rows = len(self._replay.labels) + len(chosen)
        for start in range(0, len(chosen), _AT_ONCE):
            loss += self._portion(chosen[start : start + _AT_ONCE], anchors, rows, first=not start)
        self._timed("prompts", lambda: text.backward(anchors.grad))
        self._timed("classifier", self._optimiser.step)
        self._schedule.step()
        self._steps_done += 1
        return loss

    def text_features(self) -> Tensor:
        """Return the text features as they are now, (C, D)."""
        with torch.no_grad():
            return self._tower.features(self._tokens, self._tuner)

    def _portion(self, chosen: Tensor, anchors: Tensor, rows: int, *, first: bool) -> float:
        tower = self._encoder.image_tower
        encoded: Tensor = self._timed(
            "images",
            lambda: normalize(
                self._encoder.model.encode_image(tower.prepared(self._pixels[chosen])), dim=-1
            ),
        )
        images = encoded.detach().requires_grad_()
        loss = self._timed("classifier", lambda: self._classified(images, chosen, anchors, first))
        self._timed("classifier", (loss / rows).backward)
        self._timed("images", lambda: encoded.backward(images.grad))  # type: ignore[no-untyped-call]
        return float(loss.detach()) / rows

    def _classified(self, images: Tensor, chosen: Tensor, text: Tensor, first: bool) -> Tensor:
        """Return the weighted sum of cross-entropies of images, of prototypes too where `first`."""
        features, weights = images, torch.ones(len(images))
        labels = self._task.labels[chosen] + self._replay.classes
        if first:
            replayed = self._replay.draw(generator(self._seed, "noise", self._steps_done))
            features = torch.cat([replayed.features, features])
            labels = torch.cat([replayed.labels, labels])
            weights = torch.cat([self._settings.replay_weight * replayed.weights, weights])
        memory = torch.cat([self._old_memory, self.memory])
        anchors = torch.cat([self._old_anchors, normalize(text, dim=-1)])
        affinities = torch.exp(features @ memory.t() - 1)
        logits = self._scale * features @ anchors.t() + affinities @ self._label_matrix
        return (weights * cross_entropy(logits, labels, reduction="none")).sum()

    def _timed(self, part: str, call: Callable[[], Any]) -> Any:
        started = time.process_time()
        result = call()
        spent = time.process_time() - started
        setattr(self.seconds, part, getattr(self.seconds, part) + spent)
        return result
