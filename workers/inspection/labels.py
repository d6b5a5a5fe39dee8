"""Suspicious labels: images whose class a classifier that has not seen them doubts.

The images are cut into five parts. For each part a linear discriminant analysis is fitted to the
others: Gaussians of one covariance S, which is drawn towards a multiple of the identity,

    log p(c | x) = x' S^-1 m_c - m_c' S^-1 m_c / 2 + log p(c) + const

The logits are divided by the temperature at which the labels as they are have the largest
likelihood: with more features than images of a class such a classifier is far too sure.

The less probable an image's own class, the more suspicious its label. An image is counted where
another class is the most probable, as probable as for the images of that class themselves on the
average (the threshold of confident learning).

Shapes: N images · D feature width · C classes
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workers.inspection.findings import Listed, SuspiciousLabel, named
from workers.intake.reading import Sample
from workers.progress_callbacks import ProgressCallback, unwatched

if TYPE_CHECKING:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

PARTS = 5
FEWEST = 3
"""Images of a class without which nothing is said of it."""
SHRINKAGE = 0.5
"""Between the covariance as it is and a multiple of the identity."""
TEMPERATURES = tuple(2.0 ** (step / 2) for step in range(13))
"""From 1 to 64."""
_MOST_LOSS = 100.0
"""Of one image, so that one alone does not decide."""
_IMPOSSIBLE = -1e9
"""The logit of a class of which a classifier has seen nothing."""
Vectors = NDArray[np.float32]
Labels = NDArray[np.int64]
Order = NDArray[np.int64]


def suspicious_labels(
    samples: Sequence[Sample],
    features: Vectors,
    keys: Sequence[str],
    *,
    most: int,
    on_progress: ProgressCallback = unwatched,
) -> Listed[SuspiciousLabel]:
    """Return the images whose labels are suspicious, the most suspicious first.

    Args:
        samples: N images.
        features: (N, D) float32, unit rows.
        keys: The keys of the classes.
        most: So many are shown.
        on_progress: Called with parts done and parts in all.
    """
    labels = np.array([sample.label for sample in samples], np.int64)
    probabilities = probabilities_of(features, labels, len(keys), on_progress=on_progress)
    order = by_suspicion(probabilities, labels)
    flagged = order[is_flagged(probabilities, labels)[order]]
    shown = (
        SuspiciousLabel(
            image=named(samples[place], keys),
            likely=keys[int(probabilities[place].argmax())],
            probability=round(float(probabilities[place].max()), 4),
            own=round(float(probabilities[place, labels[place]]), 4),
        )
        for place in flagged
    )
    return Listed.of(shown, count=len(flagged), most=most)


def probabilities_of(
    features: Vectors,
    labels: Labels,
    classes: int,
    *,
    on_progress: ProgressCallback = unwatched,
) -> Vectors:
    """Return the probabilities of classes by classifiers that have not seen the image.

    Args:
        features: (N, D) float32, unit rows.
        labels: (N,) int64.
        classes: C.
        on_progress: Called with parts done and parts in all.

    Returns:
        (N, C) float32. Rows of images of classes that are too small are zero, and so are columns.
    """
    # Importing it takes a while.
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    is_judged = np.bincount(labels, minlength=classes)[labels] >= FEWEST
    known = np.unique(labels[is_judged])
    if len(known) < 2:
        return np.zeros((len(labels), classes), np.float32)
    logits = np.full((len(labels), classes), _IMPOSSIBLE, np.float32)
    part = parts_of(labels)
    for number in range(PARTS):
        fitted, asked = is_judged & (part != number), is_judged & (part == number)
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE)
        model.fit(features[fitted], labels[fitted])
        if asked.any():
            logits[np.ix_(asked, model.classes_)] = logits_of(model, features[asked])
        on_progress(number + 1, PARTS)
    logits -= logits.max(axis=1, keepdims=True)
    return softened(logits, labels, is_judged)


def logits_of(model: "LinearDiscriminantAnalysis", features: Vectors) -> Vectors:
    """Return the (n, C) logits of a classifier, of two classes too."""
    found: Vectors = model.decision_function(features).astype(np.float32)
    return np.stack([np.zeros_like(found), found], axis=1) if found.ndim == 1 else found


def softened(logits: Vectors, labels: Labels, is_judged: NDArray[np.bool_]) -> Vectors:
    """Return the probabilities of the likeliest temperature; zeros of images that are not judged.

    Args:
        logits: (N, C), the largest of each row 0.
        labels: (N,).
        is_judged: (N,).
    """
    places = np.arange(len(labels))

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        own = np.maximum(scaled[places, labels], -_MOST_LOSS)
        each: NDArray[np.float32] = np.log(np.exp(scaled).sum(axis=1)) - own
        return float(each[is_judged].mean())

    scaled = np.exp(logits / min(TEMPERATURES, key=loss))
    found: Vectors = scaled / scaled.sum(axis=1, keepdims=True)
    found[~is_judged] = 0
    return found


def parts_of(labels: Labels, *, seed: int = 0) -> Labels:
    """Return the part that each image is in, (N,) int64; every class is in as many as it can be."""
    parts = np.empty_like(labels)
    order = np.random.default_rng(seed).permutation(len(labels))
    for label in np.unique(labels):
        places = order[labels[order] == label]
        parts[places] = np.arange(len(places)) % PARTS
    return parts


def by_suspicion(probabilities: Vectors, labels: Labels) -> Order:
    """Return the indices of all images that were judged, the most suspicious first."""
    judged = np.flatnonzero(probabilities.any(axis=1))
    own = probabilities[judged, labels[judged]]
    return judged[np.argsort(own, kind="stable")]


def is_flagged(probabilities: Vectors, labels: Labels) -> NDArray[np.bool_]:
    """Return of each image whether its label is counted as suspicious."""
    places = np.arange(len(labels))
    own = probabilities[places, labels]
    classes = probabilities.shape[1]
    images = np.bincount(labels, minlength=classes)
    usual = np.bincount(labels, weights=own, minlength=classes) / np.maximum(images, 1)
    likely = probabilities.argmax(axis=1)
    flagged: NDArray[np.bool_] = (likely != labels) & (
        probabilities[places, likely] >= usual[likely]
    )
    return flagged & probabilities.any(axis=1)
