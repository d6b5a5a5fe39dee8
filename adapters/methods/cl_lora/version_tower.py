"""The tower of a CL-LoRA version: the bare tower, and a path of its own for every task.

The blocks that tasks share run once; what leaves them goes on once for every task. With half of
the blocks shared and T tasks that is (1 + T) / 2 bare towers, and one more for the text logits.

Shapes: N images · T tasks · K paths of each · D feature width · L tokens · d width of the tower
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from adapters.methods.cl_lora.changes import BlockChanges, beside
from adapters.methods.cl_lora.paths import on_paths
from adapters.methods.cl_lora.split_tower import SplitTower
from adapters.towers.image_tower import FrozenImageTower

ROWS_TOGETHER = 256
"""Images times tasks that a GPU takes through the tasks' own blocks at once."""


class VersionTower:
    """See the head of this module.

    Attributes:
        fingerprint: Names the encoder's tower and everything that is changed of it.

    Args:
        base: The encoder's tower.
        split: The same, taken apart.
        shared: What all tasks change.
        tasks: What each task changes, T of them.
        fingerprint: The name.
        together: Most tasks that go on beside each other. One on a processor, where more would
            only take more memory, so that a task's features are products of its own, whose shape
            later tasks do not change; None for what suits the device.
    """

    # Owns: the changes, on the tower's device; nothing changes them.

    def __init__(
        self,
        base: FrozenImageTower,
        split: SplitTower,
        *,
        shared: BlockChanges,
        tasks: Sequence[BlockChanges],
        fingerprint: str,
        together: int | None = None,
    ) -> None:
        self._base, self._split = base, split
        self._shared = shared.to(base.device)
        self._tasks = [each.to(base.device) for each in tasks]
        self._together = together
        self.fingerprint = fingerprint

    @property
    def own_bytes(self) -> int:
        """Bytes of its copies; none on a processor, where records and shared state are read."""
        if self._base.device.type == "cpu":
            return 0
        return sum(one.nbytes for each in (self._shared, *self._tasks) for one in each.tensors())

    @torch.no_grad()
    def features(self, pixels: Tensor) -> Tensor:
        """See `ImageTower`; (N, 1 + T K, D): the bare tower's, then those of the tasks."""
        bare = self._base.features(pixels)[:, None]
        tokens = self._split.lower(pixels, self._shared)
        own = [
            on_paths(features.float().cpu(), path=bare.shape[-1])
            for start in range(0, len(self._tasks), self._at_once(len(pixels)))
            for features in self._of_tasks(start, tokens)
        ]
        return torch.cat([bare, *own], dim=1)

    def _of_tasks(self, start: int, tokens: Tensor) -> Sequence[Tensor]:
        """Return f of the tasks from `start` on that go together, (N, W) each."""
        changes = self._tasks[start : start + self._at_once(len(tokens))]
        if len(changes) == 1:
            return [self._split.upper(tokens, changes[0])]
        rows = tokens.expand(len(changes), *tokens.shape)
        return self._split.upper(rows, beside(changes)).unbind()

    def _at_once(self, images: int) -> int:
        if self._together is not None:
            return self._together
        return 1 if self._base.device.type == "cpu" else max(1, ROWS_TOGETHER // max(1, images))
