"""Thresholds of a task: below which familiarity an image is of none of its classes.

Fitted when the task is learnt (`adapters.familiarity`), kept in its record, and changed by nothing
that is learnt later.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Real
from typing import Self

from adapters.errors import CorruptionError, FeatureError, InputError

RATES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2)
"""Rates of false alarms that are kept, as far as a task has images enough for them."""

MOST_RATE = RATES[-1]


def check_rate(rate: float) -> None:
    """Raise InputError unless `rate` is one of false alarms that can be asked for."""
    given: object = rate
    is_number = isinstance(given, Real) and not isinstance(given, bool)
    if not (is_number and 0 < rate <= MOST_RATE):
        raise InputError(
            f"reject: expected a rate of false alarms above 0 and up to {MOST_RATE}, found "
            f"{rate!r:.40}; 0.05 refuses about one of twenty images of learnt classes",
            reject=rate,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """Below which familiarity a given share of a task's own images lies.

    Attributes:
        rates: Rates of false alarms, ascending; at least one.
        scores: As many familiarities, ascending: with each so large a share of held-out images of
            the task is below it, at most.

    Raises:
        FeatureError: they are no such numbers.
    """

    rates: tuple[float, ...]
    scores: tuple[float, ...]

    def __post_init__(self) -> None:
        ascending = all(first < second for first, second in pairwise(self.rates))
        bounded = all(0 < rate <= MOST_RATE for rate in self.rates)
        sorted_ = all(first <= second for first, second in pairwise(self.scores))
        finite = all(math.isfinite(score) for score in self.scores)
        paired = len(self.rates) == len(self.scores) > 0
        if not (ascending and bounded and sorted_ and finite and paired):
            raise FeatureError(
                f"thresholds: expected ascending rates up to {MOST_RATE} and as many finite "
                f"scores, found {list(self.rates)} and {list(self.scores)}"
            )

    @classmethod
    def of(cls, scores: Sequence[float]) -> Self | None:
        """Return the thresholds of held-out scores; None where they are too few for any rate.

        Of n held-out images and one more of their kind, that one is below the k-th lowest in k of
        n + 1 cases: k is the largest whole number for which this is at most the rate.
        """
        ordered, count = sorted(scores), len(scores)
        kept = [(rate, math.floor(rate * (count + 1) + 1e-9)) for rate in RATES]
        pairs = [(rate, ordered[place - 1]) for rate, place in kept if place >= 1]
        if not pairs:
            return None
        return cls(
            rates=tuple(rate for rate, _ in pairs), scores=tuple(score for _, score in pairs)
        )

    @property
    def least_rate(self) -> float:
        """The lowest rate of false alarms that was measured."""
        return self.rates[0]

    def at(self, rate: float) -> float | None:
        """Return the threshold of a rate of false alarms, between those kept in a straight line.

        None where the rate is lower than was measured.
        """
        if rate < self.rates[0]:
            return None
        for place in range(1, len(self.rates)):
            low, high = self.rates[place - 1], self.rates[place]
            if rate < high:
                part = (rate - low) / (high - low)
                return self.scores[place - 1] * (1 - part) + self.scores[place] * part
        return self.scores[-1]

    def described(self) -> list[list[float]]:
        """Return them as JSON: pairs of a rate and a score."""
        return [list(pair) for pair in zip(self.rates, self.scores, strict=True)]

    @classmethod
    def read(cls, pairs: Sequence[tuple[float, float]], *, task: str) -> Self:
        """Return what `described` gave; CorruptionError where nobody wrote it so."""
        try:
            return cls(
                rates=tuple(rate for rate, _ in pairs), scores=tuple(score for _, score in pairs)
            )
        except FeatureError as error:
            raise CorruptionError(
                f"record {task!r}: {error.message}; nobody wrote it so"
            ) from error
