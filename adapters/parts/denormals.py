"""Denormal numbers flushed to zero while a block runs.

Float32 numbers below 1.2e-38 keep fewer and fewer digits, and processors take many times as long
for each of them. The softmax of a class whose logit lies 88 or more below the highest is such a
number, and the square of its gradient is one long before. Nothing that is learnt depends on them:
what they move is lost in the rounding of a weight.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

LEAST_NORMAL = torch.finfo(torch.float32).tiny


@contextmanager
def flushed_denormals() -> Iterator[None]:
    """Let this thread, and those that it starts for products meanwhile, flush denormals to zero.

    Afterwards the thread does as it did before. Does nothing on a processor that cannot.
    """
    before = denormals_are_flushed()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def denormals_are_flushed() -> bool:
    """Return whether products of this thread flush denormal numbers to zero."""
    return float(torch.tensor(LEAST_NORMAL) * 0.5) == 0.0
