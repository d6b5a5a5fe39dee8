"""Seeded random generators without a random state: every draw is named, its name is its seed.

The numbers of step 7 of a training depend on the seed and on "step 7" alone, not on what was drawn
before. A training that stops and goes on, or fits its classes in another order, draws the same.
"""

import hashlib

import torch


def derived_seed(seed: int, *names: str | int) -> int:
    """Return a seed in [0, 2**32) for the draws called `names` under `seed`.

    Different names give independent seeds; the value is the same on every machine.
    """
    text = "\x1f".join([str(seed), *(f"{type(name).__name__}:{name}" for name in names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")


def generator(seed: int, *names: str | int) -> torch.Generator:
    """Return a CPU generator for the draws called `names` under `seed`."""
    return torch.Generator().manual_seed(derived_seed(seed, *names))
