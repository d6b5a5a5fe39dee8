"""Tally: a meter that keeps what is counted in this process, until somebody reads it."""

import logging
import threading
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from workers.metrics.families import Family, Kind
from workers.metrics.meter import Labels

logger = logging.getLogger("nacre.metrics")


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One number as Prometheus knows it.

    Attributes:
        family: What it belongs to.
        suffix: Of its name: `_bucket`, `_count` or `_sum` of a histogram; empty for the others.
        labels: Values of the family's labels; of a bucket, its upper bound (`le`) follows.
        value: The number.
    """

    family: Family
    suffix: str
    labels: Labels
    value: float

    @property
    def name(self) -> str:
        """The name under which it is read."""
        return f"{self.family.name}{self.suffix}"

    @property
    def named(self) -> dict[str, str]:
        """The labels with their names."""
        names = (*self.family.labels, "le") if self.suffix == "_bucket" else self.family.labels
        return dict(zip(names, self.labels, strict=True))


class _Histogram:
    """Values of one series of a histogram: how many fell between two bounds, and their sum."""

    __slots__ = ("counts", "total")

    def __init__(self, family: Family) -> None:
        self.counts = [0] * (len(family.bounds) + 1)
        self.total = 0.0


class Tally:
    """See `Meter`."""

    # Owns: the numbers, guarded by `_lock`, which is held for some lookups only.

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers: dict[Family, dict[Labels, float]] = {}
        self._histograms: dict[Family, dict[Labels, _Histogram]] = {}
        self._measures: dict[str, Callable[[], None]] = {}

    def count(self, family: Family, *labels: str, by: float = 1.0) -> None:
        """See `Meter`."""
        with self._lock:
            series = self._numbers.setdefault(family, {})
            series[labels] = series.get(labels, 0.0) + by

    def observe(self, family: Family, value: float, *labels: str) -> None:
        """See `Meter`."""
        place = bisect_left(family.bounds, value)
        with self._lock:
            series = self._histograms.setdefault(family, {})
            found = series.get(labels)
            if found is None:
                found = series[labels] = _Histogram(family)
            found.counts[place] += 1
            found.total += value

    def set(self, family: Family, value: float, *labels: str) -> None:
        """See `Meter`."""
        with self._lock:
            self._numbers.setdefault(family, {})[labels] = value

    def set_all(self, family: Family, values: Mapping[Labels, float]) -> None:
        """See `Meter`."""
        with self._lock:
            self._numbers[family] = dict(values)

    def before_reading(self, what: str, measure: Callable[[], None]) -> None:
        """See `Meter`."""
        with self._lock:
            self._measures[what] = measure

    def points(self) -> list[Point]:
        """Return everything that was counted. Of a histogram the larger bounds come first, so that
        whoever takes over one after the other never has more below a bound than below the next.
        """
        with self._lock:
            measures = dict(self._measures)
        for what, measure in measures.items():
            try:
                measure()
            except Exception:
                logger.exception("%s cannot be measured; the others are read all the same", what)
        with self._lock:
            numbers = [
                Point(family=family, suffix="", labels=labels, value=value)
                for family, series in self._numbers.items()
                for labels, value in series.items()
            ]
            observed = [
                (family, labels, list(each.counts), each.total)
                for family, series in self._histograms.items()
                for labels, each in series.items()
            ]
        return numbers + [point for histogram in observed for point in _points_of(*histogram)]


def _points_of(family: Family, labels: Labels, counts: list[int], total: float) -> list[Point]:
    assert family.kind is Kind.HISTOGRAM
    bounds = [*(f"{bound:g}" for bound in family.bounds), "+Inf"]
    below, buckets = 0, []
    for bound, count in zip(bounds, counts, strict=True):
        below += count
        found = Point(family=family, suffix="_bucket", labels=(*labels, bound), value=below)
        buckets.append(found)
    return [
        Point(family=family, suffix="_count", labels=labels, value=below),
        *reversed(buckets),
        Point(family=family, suffix="_sum", labels=labels, value=total),
    ]
