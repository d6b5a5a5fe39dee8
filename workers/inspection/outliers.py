"""Outliers: images that are farther from all classes than is usual in their class, and in the task.

    distance of an image   1 - cosine to the nearest mean of a class; its own class's without itself
    unusual by             (distance - median) / (1.4826 MAD), MAD the median absolute deviation

The smaller of two such figures counts, one among its class and one among all images: in a class of
many kinds of things much is far from everything, and so is all of a class that is unlike others. An
image of the wrong class is near to another one, and is found by its label instead. Means are taken,
and no nearest images, because several images of one other domain are near to each other.

Shapes: N images · D feature width · C classes
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workers.inspection.findings import Listed, Outlier, named
from workers.intake.reading import Sample

UNUSUAL = 3.0
FEWEST = 5
"""Images of a class whose own distances tell what is usual; of fewer, those of all classes do."""
ROWS = 4096
"""Images whose cosines to all classes are in memory at a time."""
_NORMAL = 1.4826
"""MADs of a normal distribution in its standard deviation."""
_LEAST = 1e-3
"""A deviation, or a length, that is not told from none."""
Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]


def outliers(
    samples: Sequence[Sample], features: Vectors, keys: Sequence[str], *, most: int
) -> Listed[Outlier]:
    """Return the images that are far from all classes, the farthest first.

    Args:
        samples: N images.
        features: (N, D) float32, unit rows.
        keys: The keys of the classes.
        most: So many are shown.
    """
    labels = np.array([sample.label for sample in samples], np.int64)
    unusual = unusual_by(distances(features, labels, len(keys)), labels)
    order = np.argsort(-unusual, kind="stable")
    flagged = order[unusual[order] >= UNUSUAL]
    shown = (
        Outlier(image=named(samples[place], keys), unusual=round(float(unusual[place]), 2))
        for place in flagged
    )
    return Listed.of(shown, count=len(flagged), most=most)


def distances(features: Vectors, labels: Labels, classes: int) -> Vectors:
    """Return the distance of each image from the nearest mean of a class, (N,) float32, 0 to 2.

    Args:
        features: (N, D) float32, unit rows.
        labels: (N,).
        classes: C.
    """
    sums = np.zeros((classes, features.shape[1]), np.float32)
    np.add.at(sums, labels, features)
    lengths = np.linalg.norm(sums, axis=1)
    means = sums / np.maximum(lengths, _LEAST)[:, None]
    found = np.empty(len(labels), np.float32)
    for start in range(0, len(labels), ROWS):
        rows, own = features[start : start + ROWS], labels[start : start + ROWS]
        cosines = rows @ means.T
        cosines[:, lengths < _LEAST] = -1
        others = sums[own] - rows
        length = np.linalg.norm(others, axis=1)
        of_own = np.einsum("nd,nd->n", rows, others) / np.maximum(length, _LEAST)
        cosines[np.arange(len(rows)), own] = np.where(length < _LEAST, -1, of_own)
        found[start : start + ROWS] = 1 - cosines.max(axis=1)
    return found


def unusual_by(distances: Vectors, labels: Labels) -> Vectors:
    """Return by how many deviations each image is farther than is usual, (N,) float32."""
    if not len(distances):
        return distances
    among_all = _deviations(distances)
    found = among_all.copy()
    for label in np.unique(labels):
        of_class = labels == label
        if of_class.sum() >= FEWEST:
            found[of_class] = np.minimum(among_all[of_class], _deviations(distances[of_class]))
    return found


def _deviations(distances: Vectors) -> Vectors:
    beyond = distances - np.median(distances)
    spread = _NORMAL * np.median(np.abs(beyond))
    found: Vectors = beyond / max(float(spread), _LEAST)
    return found
