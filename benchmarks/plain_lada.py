"""LADA's training step as a plain loop does it, to compare speed and numbers with.

One dense product for the memory logits of all classes, old and new; one dense product with the
one-hot label matrix of all memory vectors; one softmax cross-entropy; autograd for everything; all
replay drawn and scored afresh at every step. What is constant is computed once, before the loop.

Shapes: R rows (prototypes and images) · D feature width · T memory vectors of all classes ·
S old classes · C all classes
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize, one_hot

from adapters.contract.randomness import generator
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.methods.lada.memory import initial_memory
from adapters.methods.lada.past import old_classes, replay_of
from adapters.methods.lada.settings import LadaSettings
from adapters.towers.text_side import TextSide


@dataclass(frozen=True, kw_only=True, slots=True)
class ProductOperations:
    """Floating-point operations in the matrix products of one step."""

    plain: float
    written_out: float


class PlainLoop:
    """The comparison loop. Alpha and beta are 1, anchors fixed or with a residual.

    Args:
        task: The task.
        past: Records with memory, oldest first.
        text: Its text side.
        settings: Batch size, learning rate, replay, text mode `none` or `residual`.
        seed: Names the draws, the same as LadaLearner's.
    """

    def __init__(
        self,
        task: TaskFeatures,
        past: list[Record],
        *,
        text: TextSide,
        settings: LadaSettings,
        seed: int,
    ) -> None:
        self._task, self._settings, self._seed = task, settings, seed
        self._scale = text.logit_scale
        self._replay = replay_of(past, settings, width=task.width)
        old = old_classes(
            past,
            scale=1.0,
            width=task.width,
            dtype=torch.float32,
            device=torch.device("cpu"),
        )
        self._old_anchors = old.anchors
        self._old_memory = torch.cat(
            [torch.zeros(0, task.width), *(record.tensors["memory"] for record in past)]
        )
        memory, offsets = initial_memory(task, vectors=settings.memory_per_class, seed=seed)
        self.memory = torch.nn.Parameter(memory)
        self._base = normalize(text.features, dim=-1)
        self.residual = torch.nn.Parameter(torch.zeros_like(self._base))
        counts = [record.tensors["memory_offsets"].diff() for record in past]
        counts.append(offsets.diff())
        sizes = torch.cat(counts)
        owners = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
        self._label_matrix = one_hot(owners).float()
        tuned = [self.residual] if settings.text == "residual" else []
        self._optimiser = torch.optim.AdamW(
            [self.memory, *tuned],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self._total_steps = settings.total_steps(classes=len(task.classes), images=len(task.labels))
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser, max_lr=settings.learning_rate, total_steps=self._total_steps
        )
        self._steps_done = 0

    def step(self) -> float:
        """Take the next step and return its loss."""
        features, labels, weights = self._rows()
        anchors = torch.cat([self._old_anchors, normalize(self._base + self.residual, dim=-1)])
        memory = torch.cat([self._old_memory, self.memory])
        affinities = torch.exp(features @ memory.t() - 1)
        logits = self._scale * features @ anchors.t() + affinities @ self._label_matrix
        loss = (weights * cross_entropy(logits, labels, reduction="none")).mean()
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        if self._steps_done + 1 < self._total_steps:
            self._schedule.step()
        self._steps_done += 1
        return float(loss.detach())

    def operations(self) -> ProductOperations:
        """Return the operations in the products of a step, here and written out by LADA's learner.

        A product of (a, b) and (b, c) takes 2 a b c.
        """
        rows = len(self._replay.labels) + self._settings.batch_size
        width = self._task.width
        vectors, classes = self._label_matrix.shape
        new = len(self.memory)
        text = 2.0 * rows * width * classes
        plain = 2 * (2.0 * rows * vectors * width) + 2 * (2.0 * rows * vectors * classes)
        written_out = 2.0 * rows * vectors * width + 2.0 * rows * new * width
        tuned = 2.0 * rows * width * len(self._base)
        return ProductOperations(plain=plain + 2 * text, written_out=written_out + text + tuned)

    def _rows(self) -> tuple[Tensor, Tensor, Tensor]:
        step, size = self._steps_done, self._settings.batch_size
        images = len(self._task.labels)
        epoch, position = divmod(step, -(-images // size))
        order = torch.randperm(images, generator=generator(self._seed, "epoch", epoch))
        chosen = order[position * size : (position + 1) * size]
        replayed = self._replay.draw(generator(self._seed, "noise", step))
        features = torch.cat([replayed.features, self._task.features[chosen, 0]])
        labels = torch.cat([replayed.labels, self._task.labels[chosen] + self._replay.classes])
        weights = torch.cat(
            [self._settings.replay_weight * replayed.weights, torch.ones(len(chosen))]
        )
        return features, labels, weights
