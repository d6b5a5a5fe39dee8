"""Exposition: points as the text that Prometheus reads."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import Metric, generate_latest
from prometheus_client.registry import Collector

from workers.metrics import Family, Kind, Point
from workers.metrics.families import FAMILIES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A point as it is shown.

    Attributes:
        family: What it belongs to.
        name: Of the point, with its suffix.
        labels: Names and values.
        value: The number.
    """

    family: Family
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    value: float

    @classmethod
    def of(cls, point: Point) -> "Shown":
        """Return a point of this process."""
        return cls(family=point.family, name=point.name, labels=point.named, value=point.value)


def exposition(shown: Iterable[Shown]) -> bytes:
    """Return points as text, family by family, without the times at which they were begun."""
    return generate_latest(_Collected(shown))  # only `collect` is asked


class _Collected(Collector):
    def __init__(self, shown: Iterable[Shown]) -> None:
        self._of: dict[str, list[Shown]] = {}
        for one in shown:
            self._of.setdefault(one.family.name, []).append(one)

    def collect(self) -> Iterator[Metric]:
        for family in FAMILIES:
            found = self._of.get(family.name)
            if found:
                yield _metric(family, found)


def _metric(family: Family, shown: list[Shown]) -> Metric:
    name = family.name
    if family.kind is Kind.COUNTER:
        name = name.removesuffix("_total")  # which is put behind it again
    metric = Metric(name, family.help, family.kind.value)
    for one in sorted(shown, key=_order):
        metric.add_sample(one.name, dict(one.labels), one.value)
    return metric


def _order(shown: Shown) -> tuple[list[str], str, float]:
    """Sort by labels, and buckets upwards."""
    labels = [f"{name}={value}" for name, value in sorted(shown.labels.items()) if name != "le"]
    return labels, shown.name, float(shown.labels.get("le", "0"))
