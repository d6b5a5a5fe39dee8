"""Reliability: whether probabilities mean what they say.

The answers are sorted by their probability and cut into bins of as many images. In each the mean
probability should be the share that is right. The calibration error is the root of the mean square
of the differences, each bin weighing what it holds. Chance alone makes differences, the larger the
fewer images a bin has; what is expected of it is taken off, so that the square is right in the mean
(Kumar, Liang and Ma, 2019):

    error² = Σ over bins  n / N ((q - r)² - r (1 - r) / (n - 1))

n images of N, mean probability q, share right r. The mean of the differences themselves is never
more than that, chance aside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean
from typing import NamedTuple

BINS = 15
LEAST = 10
"""Images of a bin: of fewer nobody could tell what chance makes, so that there are fewer bins."""


class Bin(NamedTuple):
    """Answers of nearly the same probability.

    Attributes:
        images: How many.
        confidence: Their mean probability.
        accuracy: Which share is right.
    """

    images: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Reliability:
    """How far probabilities can be believed, over all images that were measured.

    Attributes:
        error: The expected calibration error, 0 to 1, without what chance alone makes.
        brier: The Brier score, 0 to 2: the squared distance between the probabilities of all
            candidates and the truth, mean over the images.
        images: How many there are.
        bins: From the least sure answers to the surest.
    """

    error: float
    brier: float
    images: int
    bins: tuple[Bin, ...]


def reliability(
    confidences: Sequence[float], right: Sequence[bool], losses: Sequence[float]
) -> Reliability | None:
    """Return how far answers can be believed; None without any.

    Args:
        confidences: The probability of each answer.
        right: Whether it is right.
        losses: The squared distance between its probabilities and the truth.
    """
    if not confidences:
        return None
    bins = _bins(sorted(zip(confidences, right, strict=True)))
    total = len(confidences)
    square = sum(each.images / total * _square(each) for each in bins)
    return Reliability(
        error=sqrt(max(0.0, square)), brier=fmean(losses), images=total, bins=tuple(bins)
    )


def _bins(answers: Sequence[tuple[float, bool]]) -> list[Bin]:
    """Return at most `BINS` bins of nearly as many sorted answers each.

    Equal probabilities are in one bin: nothing says which of them come first.
    """
    count, start, bins = max(1, min(BINS, len(answers) // LEAST)), 0, []
    for place in range(1, count + 1):
        end = len(answers) * place // count
        while 0 < end < len(answers) and answers[end][0] == answers[end - 1][0]:
            end += 1
        if end > start:
            part = answers[start:end]
            sure, right = fmean(each for each, _ in part), fmean(each for _, each in part)
            bins.append(Bin(len(part), sure, right))
        start = max(start, end)
    return bins


def _square(found: Bin) -> float:
    """Return the squared difference of probability and share, less what chance makes of that."""
    by_chance = found.accuracy * (1 - found.accuracy) / max(found.images - 1, 1)
    return (found.confidence - found.accuracy) ** 2 - by_chance
