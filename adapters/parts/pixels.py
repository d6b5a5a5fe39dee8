"""Pixels in training: augmented batches that seed and step name, and test views of all images.

Shapes: N images of the task · B images of a batch · S side of the encoder's input in pixels
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from adapters.contract.randomness import derived_seed
from adapters.parts.batches import epoch_batch
from adapters.parts.latest import Latest
from adapters.towers.image_side import PixelSource

CHUNK = 32
"""Images of which test views are read at once."""


class PixelBatch(NamedTuple):
    """What one step reads.

    Attributes:
        pixels: (B, 3, S, S) uint8.
        labels: (B,) int64.
    """

    pixels: Tensor
    labels: Tensor


class PixelBatches:
    """Batches of augmented pixels; every epoch passes over all images once, in views of its own.

    Args:
        source: The task's images.
        labels: (N,) int64.
        size: B; the last batch of an epoch may be smaller.
        seed: Names orders and views.
    """

    # Owns: the batch that was read last, which several updates may learn from, in `_batch`.

    def __init__(self, source: PixelSource, labels: Tensor, *, size: int, seed: int) -> None:
        self._source, self._labels, self._size, self._seed = source, labels, size, seed
        self.per_epoch = -(-len(labels) // size)
        self._batch = Latest[int, PixelBatch]()

    def at(self, number: int) -> PixelBatch:
        """Return batch `number`, counted from 0."""
        return self._batch.of(number, self._read)

    def _read(self, number: int) -> PixelBatch:
        images = len(self._labels)
        chosen = epoch_batch(number, images=images, size=self._size, seed=self._seed)
        view = 1 + derived_seed(self._seed, "view", number // self.per_epoch)
        return PixelBatch(self._source(chosen.tolist(), view=view), self._labels[chosen])


@torch.no_grad()
def over_test_views(
    source: PixelSource, images: int, compute: Callable[[Tensor], Tensor], *, chunk: int = CHUNK
) -> Tensor:
    """Return what `compute` makes of the test views of all images, on the CPU.

    Args:
        source: The task's images.
        images: N.
        compute: From (n, 3, S, S) uint8 to (n, ...).
        chunk: Most images that are read at once.
    """
    starts = range(0, images, chunk)
    return torch.cat(
        [compute(source(range(at, min(at + chunk, images)))).cpu() for at in starts], dim=0
    )
