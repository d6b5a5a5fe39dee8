"""Random ReLU features h = max(R f, 0): one random projection that never changes.

R is drawn from a generator whose stream is frozen, so that statistics of h that were stored today
can be added to those of any later day.

Shapes: N images · D feature width · L random features
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


@lru_cache(maxsize=4)
def gaussian_projection(width: int, features: int, seed: int) -> Tensor:
    """Return R with entries from N(0, 1), (L, D) float32, read-only by agreement.

    Args:
        width: D.
        features: L.
        seed: Names R.
    """
    stream = np.random.RandomState(seed)  # its stream is frozen; newer generators' are not
    drawn = stream.standard_normal((features, width))
    return torch.from_numpy(drawn.astype(np.float32))


@lru_cache(maxsize=4)
def uniform_projection(width: int, features: int, seed: int) -> Tensor:
    """Return R with entries uniform in +-1/sqrt(D), as a linear layer begins, (L, D) float32."""
    stream = np.random.RandomState(seed)
    drawn = stream.uniform(-1, 1, (features, width)) / np.sqrt(width)
    return torch.from_numpy(drawn.astype(np.float32))


def random_features(images: Tensor, projection: Tensor) -> Tensor:
    """Return max(R f, 0), (N, L).

    Args:
        images: (N, D).
        projection: (L, D), R.
    """
    return (images @ projection.t()).relu_()
