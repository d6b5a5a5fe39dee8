"""Duplicates: files with the same bytes, and different files that show one picture.

Two files are near duplicates where the greys of their pictures correlate, as they are or mirrored,
and where the encoder does not see something else in each. Features alone are alike for any two
pictures of one thing.

Shapes: N images · D feature width · G greys of a signature
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from workers.images.signature import mirrored, vectors_of
from workers.inspection.findings import (
    ExactDuplicates,
    Listed,
    NearDuplicates,
    Where,
    named,
    where_of,
)
from workers.inspection.neighbours import neighbours
from workers.intake.reading import Sample
from workers.progress_callbacks import ProgressCallback, unwatched

NEAREST = 5
"""So many nearest images of each are compared with it."""
LIKENESS = 0.99
"""Correlation of greys from which two pictures are one (`python -m benchmarks.inspect`)."""
SEEN_ALIKE = 0.3
"""Cosine of features from which the encoder may see the same in both: at half the size it sees
other edges, and of two drawings that fill the same squares it sees nothing in common."""
MEMBERS = 6
"""So many files with the same bytes are named."""
_ORDER: Sequence[Where] = ("across_splits", "across_classes", "in_class")
Vectors = NDArray[np.float32]


def exact_duplicates(
    samples: Iterable[Sample], keys: Sequence[str], *, most: int
) -> Listed[ExactDuplicates]:
    """Return the files of which there are several, the worst first.

    Args:
        samples: All that can be read, further copies included.
        keys: The keys of the classes.
        most: So many are shown.
    """
    by_digest: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_digest[sample.digest].append(sample)
    groups = [group for group in by_digest.values() if len(group) > 1]
    groups.sort(key=lambda group: _ORDER.index(where_of(group)))
    shown = (
        ExactDuplicates(
            where=where_of(group),
            images=tuple(named(sample, keys) for sample in group[:MEMBERS]),
            count=len(group),
        )
        for group in groups
    )
    return Listed.of(shown, count=len(groups), most=most)


def near_duplicates(
    samples: Sequence[Sample],
    features: Vectors | None,
    keys: Sequence[str],
    *,
    most: int,
    on_progress: ProgressCallback = unwatched,
) -> Listed[NearDuplicates]:
    """Return pairs of images that show one picture, the worst first.

    Args:
        samples: N images with their signatures, each content once in a split.
        features: (N, D) float32, unit rows; None where only the greys are compared.
        keys: The keys of the classes.
        most: So many are shown.
        on_progress: Called with images compared and images in all.
    """
    found = [
        (where_of([samples[i], samples[j]]), i, j, likeness, is_mirrored)
        for (i, j), (likeness, is_mirrored) in near_pairs(
            samples, features, on_progress=on_progress
        ).items()
        if samples[i].digest != samples[j].digest
    ]
    found.sort(key=lambda pair: (_ORDER.index(pair[0]), -pair[3], pair[1:3]))
    shown = (
        NearDuplicates(
            where=where,
            images=(named(samples[i], keys), named(samples[j], keys)),
            likeness=round(likeness, 4),
            mirrored=is_mirrored,
        )
        for where, i, j, likeness, is_mirrored in found
    )
    return Listed.of(shown, count=len(found), most=most)


def near_pairs(
    samples: Sequence[Sample],
    features: Vectors | None,
    *,
    on_progress: ProgressCallback = unwatched,
) -> dict[tuple[int, int], tuple[float, bool]]:
    """Return likeness and mirroring by the places of two images that show one picture.

    The nearest of each are compared, as they are and mirrored; the arguments are those of
    `near_duplicates`.
    """
    greys = vectors_of([sample.signature for sample in samples if sample.signature])
    found: dict[tuple[int, int], tuple[float, bool]] = {}
    for turn, asked in enumerate((greys, mirrored(greys))):
        report = partial(_half, on_progress, turn)
        near = neighbours(asked, greys, most=NEAREST, on_progress=report)
        firsts, columns = np.nonzero(near.cosines >= LIKENESS)
        seconds = near.places[firsts, columns]
        likenesses = near.cosines[firsts, columns]
        if features is not None:
            alike = np.einsum("nd,nd->n", features[firsts], features[seconds]) >= SEEN_ALIKE
            firsts, seconds, likenesses = firsts[alike], seconds[alike], likenesses[alike]
        for i, j, likeness in zip(firsts, seconds, likenesses, strict=True):
            pair = (int(min(i, j)), int(max(i, j)))
            known = found.get(pair, (0.0, False))
            found[pair] = max(known, (min(1.0, float(likeness)), bool(turn)), key=itemgetter(0))
    return found


def _half(on_progress: ProgressCallback, turn: int, done: int, total: int) -> None:
    on_progress(turn * total + done, 2 * total)
