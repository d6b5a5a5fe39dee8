"""Uncertainty of counted answers: the interval of an accuracy, and whether two differ by chance.

Both are closed forms: `scipy.stats` gives the same, and takes two seconds to load, which nobody
waits for who looks up a version.
"""

from math import comb, erfc, sqrt
from statistics import NormalDist
from typing import NamedTuple

CONFIDENCE = 0.95
POINT = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
"""1.96: what a standard normal variable stays below, on both sides, in 95 of 100 cases."""
EXACT = 1000
"""Up to so many images that one version alone has right, the binomial sum is computed."""


class Interval(NamedTuple):
    """Where an accuracy lies with 95 % confidence, from 0 to 1."""

    low: float
    high: float


def wilson_interval(right: int, images: int) -> Interval:
    """Return Wilson's 95 % confidence interval of an accuracy.

        (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n),    p = right/n, n = images, z = 1.96

    It stays between 0 and 1, and is no point where all answers are right.

    Args:
        right: Right answers.
        images: All answers; of none nothing is known: from 0 to 1.
    """
    if images == 0:
        return Interval(0.0, 1.0)
    share, square = right / images, POINT**2 / images
    middle = share + square / 2
    half = POINT * sqrt(share * (1 - share) / images + square / (4 * images))
    low, high = (middle - half) / (1 + square), (middle + half) / (1 + square)
    return Interval(0.0 if right == 0 else low, 1.0 if right == images else high)


def mcnemar_p(won: int, lost: int) -> float:
    """Return the p-value of McNemar's test: how likely chance alone makes as large a difference.

    Two versions answer the same images. Those that both have right or both have wrong say nothing;
    of the n = won + lost others, chance gives either version half:

        p = min(1, 2 Σ_{k ≤ min(won, lost)} C(n, k) / 2ⁿ)

    With more than `EXACT` of them the normal distribution with continuity correction takes the
    sum's place.

    Args:
        won: Images that only the second version has right.
        lost: Images that only the first has right.
    """
    discordant, fewer = won + lost, min(won, lost)
    if discordant > EXACT:
        return min(1.0, erfc(max(0, abs(won - lost) - 1) / sqrt(2 * discordant)))
    ways = sum(comb(discordant, count) for count in range(fewer + 1))
    all_ways: int = 2**discordant
    return min(1.0, 2 * ways / all_ways)
