"""The measured tables that advice is made of: `measured.json`, which `make bench-advice` makes.

A way to learn is a method, with the form that it is asked for where that is not the first one.

Shapes: no arrays
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

MEASURED = Path(__file__).with_name("measured.json")
WAYS = (
    "nearest_mean",
    "tip_adapter",
    "gda",
    "dual_rail",
    "own_metric",
    "own_metric short_list",
    "lada",
)
"""What is measured, and may be recommended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Accuracy:
    """The accuracy of one way after the last task.

    Attributes:
        lasts: In percent, the mean over tasks, for each draw of images.
    """

    lasts: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """What all ways gave on one collection.

    Attributes:
        collection: What it is called.
        tasks: How many.
        classes: Of all tasks.
        images: Training images a class.
        draws: Over how many draws of images.
        methods: By way.
    """

    collection: str
    tasks: int
    classes: int
    images: int
    draws: int
    methods: Mapping[str, Accuracy]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Bytes that grow with tasks, classes, images, and pairs of images.

    Attributes:
        task: What a task adds.
        class_: What a class adds.
        image: What a training image adds.
        pair: What each pair of training images of a version adds.
    """

    task: float
    class_: float
    image: float
    pair: float = 0.0

    @classmethod
    def of(cls, read: Mapping[str, float]) -> Self:
        """Return what a table says."""
        return cls(
            task=read["task"],
            class_=read["class"],
            image=read["image"],
            pair=read.get("pair", 0.0),
        )

    def bytes_of(self, *, tasks: int, classes: int, images: int) -> int:
        """Return the bytes of some tasks, of all their classes and all their training images."""
        linear = tasks * self.task + classes * self.class_ + images * self.image
        return round(linear + images**2 * self.pair)


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """Times of the processor.

    Attributes:
        learning: Training images of a task and seconds to learn it, from few to many.
        opening: Milliseconds to open a version: a fixed part, and one for each task.
        scoring: The same of one image.
        growing: The same of following one more task and scoring one image.
    """

    learning: Sequence[tuple[float, float]]
    opening: tuple[float, float]
    scoring: tuple[float, float]
    growing: tuple[float, float]

    def learning_s(self, images: float) -> float:
        """Return seconds to learn a task of so many images, between those that were measured.

        Straight in logarithms. Beyond the last it grows as between the last two, and never more
        slowly than the images do.
        """
        points = [(math.log(most), math.log(max(s, 1e-6))) for most, s in self.learning]
        at = math.log(max(images, 1.0))
        if at <= points[0][0]:
            return math.exp(points[0][1])
        for (x, y), (x1, y1) in pairwise(points):
            if at <= x1:
                return math.exp(y + (y1 - y) * (at - x) / (x1 - x))
        (x, y), (x1, y1) = points[-2:]
        return math.exp(y1 + max((y1 - y) / (x1 - x), 1.0) * (at - x1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """Everything that was measured.

    Attributes:
        width: Of the features that bytes and times are of.
        lines: Accuracies.
        records: Bytes of records, by way.
        memory: Bytes of a loaded version, by way.
        times: By way.
        towers: Methods that train the tower, beside others, as the table says it.
    """

    width: int
    lines: Sequence[Line]
    records: Mapping[str, Sizes]
    memory: Mapping[str, Sizes]
    times: Mapping[str, Times]
    towers: Mapping[str, Any]


@cache
def measured_tables() -> Tables:
    """Return the tables that come with nacre."""
    return tables_of(json.loads(MEASURED.read_text()))


def tables_of(read: Mapping[str, Any]) -> Tables:
    """Return the tables that a document holds."""
    lines = [
        Line(
            **{key: value for key, value in line.items() if key != "methods"},
            methods={
                way: Accuracy(lasts=tuple(found["lasts"])) for way, found in line["methods"].items()
            },
        )
        for line in read["accuracies"]
    ]
    times = {
        way: Times(
            learning=[(images, seconds) for images, seconds in found["learning"]],
            opening=_parts(found["opening_ms"]),
            scoring=_parts(found["scoring_ms"]),
            growing=_parts(found["growing_ms"]),
        )
        for way, found in read["times"].items()
    }
    return Tables(
        width=read["width"],
        lines=lines,
        records={way: Sizes.of(found["record"]) for way, found in read["sizes"].items()},
        memory={way: Sizes.of(found["memory"]) for way, found in read["sizes"].items()},
        times=times,
        towers=read["towers"],
    )


def _parts(read: Mapping[str, float]) -> tuple[float, float]:
    return read["fixed"], read["task"]
