"""Mini-batch sampling: the images that each training step learns from."""

import torch
from torch import Tensor

from adapters.contract.randomness import generator


def epoch_batch(step: int, *, images: int, size: int, seed: int) -> Tensor:
    """Return the indices of the images of step `step`, counted from 0, (at most size,) int64.

    Every epoch passes over all images once, in an order of its own; its last batch may be smaller.
    """
    epoch, position = divmod(step, -(-images // size))
    order = torch.randperm(images, generator=generator(seed, "epoch", epoch))
    return order[position * size : (position + 1) * size]
