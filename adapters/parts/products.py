"""Products of few images with many rows, as fast as the rows can be read.

Shapes: N images · D feature width · B rows
"""

import torch
from torch import Tensor

FEW = 16
"""So few images are a request and not a set."""

IMAGES_FIRST = 3
"""So many images MKL multiplies with rows that it reads once, where it does so well."""


def products_of_few(bias: Tensor, rows: Tensor, features: Tensor) -> Tensor:
    """Return bias + rows . x for every x: (N, B), laid out by images or by rows.

    Which of two products is fast depends on the processor. MKL multiplies a vector with each row as
    fast as memory gives the rows on some; there that is taken for up to `IMAGES_FIRST` images, in
    half the time of the other. Elsewhere that takes two to five times as long as a product with the
    rows first and never with one image alone. One processor always takes the same.

    Args:
        bias: (B,).
        rows: (B, D).
        features: (N, D).
    """
    if len(features) <= IMAGES_FIRST and multiplies_vectors():
        return torch.addmm(bias, features, rows.t())
    images = features if len(features) > 1 else features.repeat(2, 1)
    return torch.addmm(bias[:, None], rows, images.t())[:, : len(features)].t()


def multiplies_vectors() -> bool:
    """Return whether MKL multiplies vectors as fast as memory allows.

    It does on processors of its own maker. Of what torch says of a processor AMX tells them: no
    other has it. Those from before it take the other product.
    """
    has_tiles = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return has_tiles is not None and bool(has_tiles())
