"""Blocks of tasks in low-rank form, scored together.

A thousand small products cost more in calls than in arithmetic. So the rows of tasks of like shape
lie in blocks of a fixed number of tasks, one below the other, and a block is one product. All its
shapes are fixed: what a block gives for a task does not depend on those that follow. One more task
copies the last block.

Shapes: N images · D feature width · T tasks of a block · R directions · C classes of a task, both
rounded up
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
from torch import Tensor

from adapters.methods.own_metric.task_rows import TaskRows

ROWS = 2048
"""Of a block, about: few calls for one image, and a copy of four megabytes for one more task."""

_ABSENT = -1e30
"""The logit of a class that is not there. Finite, so that nothing becomes no number."""

_NEAREST = 1e-6
"""The least squared length of an image's coordinates, where rounding would leave less."""


class Shape(NamedTuple):
    """What the tasks of a block have in common.

    Attributes:
        directions: R.
        classes: C.
        width: D.
    """

    directions: int
    classes: int
    width: int

    @classmethod
    def of(cls, task: TaskRows) -> Self:
        """Return the shape that `task` is rounded up to: at most an eighth of it is empty."""
        return cls(
            directions=_rounded(len(task.directions)),
            classes=_rounded(len(task.anchors)),
            width=len(task.slope),
        )

    @property
    def tasks(self) -> int:
        """T."""
        return max(ROWS // (self.directions + 2 * self.classes + 1), 1)

    @property
    def parts(self) -> list[int]:
        """How many rows of a block are directions, anchors, means and slopes."""
        tasks = self.tasks
        return [tasks * self.directions, tasks * self.classes, tasks * self.classes, tasks]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Block:
    """The rows of up to T tasks. Filled by the one `TaskBlocks` that has made it.

    Attributes:
        shape: Of its tasks.
        rows: All directions, then anchors, means and slopes, (T (R + 2 C + 1), D) float32.
        biases: What is added to the products, (T (R + 2 C + 1),) float32.
        curves: (T, D) float32.
        text_weights: (T, 1) float32.
        offsets: (T, C) float32, what is added to the logits.
    """

    shape: Shape
    rows: Tensor
    biases: Tensor
    curves: Tensor
    text_weights: Tensor
    offsets: Tensor

    @classmethod
    def empty(cls, shape: Shape) -> Self:
        """Return a block without tasks."""
        biases = torch.zeros(sum(shape.parts))
        torch.split(biases, shape.parts)[2].fill_(_ABSENT)
        return cls(
            shape=shape,
            rows=torch.zeros(sum(shape.parts), shape.width),
            biases=biases,
            curves=torch.zeros(shape.tasks, shape.width),
            text_weights=torch.zeros(shape.tasks, 1),
            offsets=torch.zeros(shape.tasks, shape.classes),
        )

    def copied(self) -> Self:
        """Return the same to write into."""
        return replace(
            self,
            rows=self.rows.clone(),
            biases=self.biases.clone(),
            curves=self.curves.clone(),
            text_weights=self.text_weights.clone(),
            offsets=self.offsets.clone(),
        )

    def fill(self, place: int, task: TaskRows, *, sharpness: float) -> None:
        """Write `task` into `place`."""
        mean_biases = -(task.means @ task.centre) - task.mean_squares / 2
        self._write(place, 0, task.directions, -(task.directions @ task.centre))
        self._write(place, 1, task.anchors, -(task.anchors @ task.centre))
        self._write(place, 2, sharpness * task.means, sharpness * mean_biases)
        self._write(place, 3, task.slope[None], -(task.slope @ task.centre)[None] / 2)
        self.curves[place] = task.curve
        self.text_weights[place] = task.text_weight
        if task.offsets is not None:
            self.offsets[place, : len(task.offsets)] = task.offsets

    def _write(self, place: int, part: int, rows: Tensor, biases: Tensor) -> None:
        for own, values in ((self.rows, rows), (self.biases, biases)):
            of_part = torch.split(own, self.shape.parts)[part]
            size = len(of_part) // self.shape.tasks
            of_part[place * size : place * size + len(values)] = values

    def scores(
        self, features: Tensor, squares: Tensor, text_logits: Tensor, *, sharpness: float
    ) -> tuple[Tensor, Tensor]:
        """Return both terms of the scores of all classes: within tasks and between them, (N, T C).

        Args:
            features: (N, D).
            squares: (N, D), the squares of V^T x.
            text_logits: (N, T C); zero where there is no class.
            sharpness: How much a squared distance counts.
        """
        found = torch.addmm(self.biases, features, self.rows.t())
        parts = torch.split(found, self.shape.parts, dim=1)
        directions, anchors, means = (
            part.view(len(part), self.shape.tasks, part.shape[1] // self.shape.tasks)
            for part in parts[:3]
        )
        lengths = torch.addmm(parts[3], squares, self.curves.t())
        lengths = (lengths - directions.square().sum(dim=2)).clamp_(min=_NEAREST)
        logits = anchors * lengths.rsqrt()[:, :, None] + means
        logits += text_logits.view(logits.shape) * self.text_weights
        logits += self.offsets
        between = means.amax(dim=2) - sharpness / 2 * lengths
        within = logits.log_softmax(dim=2)
        return within.flatten(1), between[:, :, None].expand_as(within).flatten(1)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TaskBlocks:
    """All tasks of one shape. Immutable.

    Attributes:
        shape: Of the tasks.
        sharpness: How much a squared distance counts.
        count: How many tasks there are.
        blocks: Filled in order; only the last one may have room.
    """

    shape: Shape
    sharpness: float
    count: int = 0
    blocks: tuple[Block, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(block.rows.nbytes + block.curves.nbytes for block in self.blocks)

    def extended(self, tasks: Sequence[TaskRows]) -> Self:
        """Return these and `tasks`; of what is there the last block is copied."""
        blocks, count = list(self.blocks), self.count
        if count % self.shape.tasks:
            blocks[-1] = blocks[-1].copied()
        for task in tasks:
            place = count % self.shape.tasks
            if place == 0:
                blocks.append(Block.empty(self.shape))
            blocks[-1].fill(place, task, sharpness=self.sharpness)
            count += 1
        return replace(self, count=count, blocks=tuple(blocks))


def _rounded(count: int) -> int:
    """Return the least number from `count` on that has three binary digits behind its first."""
    unit = 1 << max(count.bit_length() - 4, 0)
    return -(-count // unit) * unit
