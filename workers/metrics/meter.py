"""Meter: what the work counts into, whoever reads it."""

from collections.abc import Callable, Mapping
from typing import Protocol

from workers.metrics.families import Family

Labels = tuple[str, ...]
"""Values of a family's labels, in its order."""


class Meter(Protocol):
    """Counts; every call is cheap, never fails, and may come from any thread."""

    def count(self, family: Family, *labels: str, by: float = 1.0) -> None:
        """Add to a counter; `by=0` says that it is there, so that its first increase is seen."""

    def observe(self, family: Family, value: float, *labels: str) -> None:
        """Add a value to a histogram."""

    def set(self, family: Family, value: float, *labels: str) -> None:
        """Set a gauge."""

    def set_all(self, family: Family, values: Mapping[Labels, float]) -> None:
        """Set all that a gauge has; what is not among `values` is gone."""

    def before_reading(self, what: str, measure: Callable[[], None]) -> None:
        """Have `measure`, which sets gauges, called whenever somebody is about to read.

        It takes the place of what was given for the same `what` before.
        """


class _Unread:
    """A meter of which nobody wants to know anything."""

    def count(self, family: Family, *labels: str, by: float = 1.0) -> None:
        """See `Meter`."""

    def observe(self, family: Family, value: float, *labels: str) -> None:
        """See `Meter`."""

    def set(self, family: Family, value: float, *labels: str) -> None:
        """See `Meter`."""

    def set_all(self, family: Family, values: Mapping[Labels, float]) -> None:
        """See `Meter`."""

    def before_reading(self, what: str, measure: Callable[[], None]) -> None:
        """See `Meter`."""


UNREAD: Meter = _Unread()
