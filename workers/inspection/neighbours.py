"""Nearest neighbours by cosine, block by block: memory grows with N, never with its square.

Shapes: N images · D width · K neighbours
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from workers.progress_callbacks import ProgressCallback, unwatched

ROWS, COLUMNS = 1024, 8192
"""Of a block of products: 32 MiB."""
Vectors = NDArray[np.float32]
Places = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Neighbours:
    """The nearest others of each image, nearest first.

    Attributes:
        places: (N, K) indices.
        cosines: (N, K) float32.
    """

    places: Places
    cosines: Vectors


def neighbours(
    queries: Vectors,
    vectors: Vectors,
    *,
    most: int,
    same: bool = True,
    on_progress: ProgressCallback = unwatched,
) -> Neighbours:
    """Return the nearest of `vectors` for each of `queries`.

    Args:
        queries: (N, D) float32, unit rows.
        vectors: (M, D) float32, unit rows.
        most: K; fewer where there are not as many.
        same: Whether row i of both is the same image, which is not its own neighbour.
        on_progress: Called with queries done and queries in all.
    """
    kept = max(0, min(most, len(vectors) - same))
    places = np.zeros((len(queries), kept), np.int64)
    cosines = np.zeros((len(queries), kept), np.float32)
    if not kept:
        return Neighbours(places=places, cosines=cosines)
    rows, columns = torch.from_numpy(queries), torch.from_numpy(vectors)
    for start in range(0, len(queries), ROWS):
        found = _of_block(rows[start : start + ROWS], columns, start, kept, same=same)
        cosines[start : start + ROWS], places[start : start + ROWS] = found
        on_progress(min(start + ROWS, len(queries)), len(queries))
    return Neighbours(places=places, cosines=cosines)


def _of_block(
    rows: torch.Tensor, columns: torch.Tensor, start: int, kept: int, *, same: bool
) -> tuple[Vectors, Places]:
    best, where = torch.empty(len(rows), 0), torch.empty(len(rows), 0, dtype=torch.int64)
    for first, block in _blocks(columns):
        products = rows @ block.T
        if same:
            own = torch.arange(start, start + len(rows)) - first
            inside = (own >= 0) & (own < len(block))
            products[torch.arange(len(rows))[inside], own[inside]] = -torch.inf
        found = products.topk(min(kept, len(block)), dim=1)
        joined = torch.cat([best, found.values], dim=1)
        best, chosen = joined.topk(min(kept, joined.shape[1]), dim=1)
        where = torch.cat([where, found.indices + first], dim=1).gather(1, chosen)
    return best.numpy(), where.numpy()


def _blocks(columns: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    for first in range(0, len(columns), COLUMNS):
        yield first, columns[first : first + COLUMNS]
