"""The table of a suite: for each method means over seeds, with confidence intervals."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from harness.sequence_run import SequenceRun

# Two-sided 95 % points of Student's distribution for 1, 2, ... degrees of freedom.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
NORMAL = 1.960


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A mean over seeds.

    Attributes:
        mean: Of the runs.
        half: Half of the 95 % confidence interval of the mean, by Student; None with one run.
    """

    mean: float
    half: float | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """Return the figure of some runs; at least one."""
        count = len(values)
        if count < 2:
            return cls(mean=values[0])
        point = STUDENT[count - 2] if count - 2 < len(STUDENT) else NORMAL
        return cls(mean=fmean(values), half=point * stdev(values) / sqrt(count))

    def __str__(self) -> str:
        digits = f"{self.mean:,.1f}" if abs(self.mean) >= 10 else f"{self.mean:.2f}"
        return digits if self.half is None else f"{digits} ± {self.half:.2f}"


Columns = Mapping[str, Callable[[SequenceRun], float | None]]
"""What each column says of a run; None where that has no meaning."""

COLUMNS: Columns = {
    "Transfer": lambda run: run.transfer,
    "Average": lambda run: run.average if run.square else run.average_of_images,
    "Last": lambda run: run.last if run.square else run.last_of_images,
    "Last, names": lambda run: run.last_alike,
    "backward": lambda run: run.metrics.backward_transfer if run.metrics else None,
    "forgetting": lambda run: run.metrics.forgetting if run.metrics else None,
    "worst drop": lambda run: run.worst_drop,
    "learning s": lambda run: run.learning_s,
    "scoring ms": lambda run: run.finish.scoring_ms,
    "kB a class": lambda run: run.kept_bytes / run.classes / 1e3,
    "peak MB": lambda run: run.finish.peak_bytes / 1e6,
}
"""What is printed of each method. Average and Last are those of the papers: means over tasks in
X-TAIL; where only learnt classes are candidates all images weigh alike. `Last, names` counts a
class of the same name as right, whatever its task."""


def figures(runs: Sequence[SequenceRun], columns: Columns = COLUMNS) -> dict[str, Figure | None]:
    """Return the figures of one line over its seeds; None where a column has no meaning."""
    found: dict[str, Figure | None] = {}
    for heading, of_run in columns.items():
        values = [value for run in runs if (value := of_run(run)) is not None]
        found[heading] = Figure.of(values) if values else None
    return found


def by_set(runs: Sequence[SequenceRun], row: int) -> list[Figure]:
    """Return the accuracy on every set after task `row`, over the seeds."""
    return [
        Figure.of([run.matrix[row][column] for run in runs])
        for column in range(len(runs[0].matrix[row]))
    ]


def as_csv(headings: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """Return lines under headings as CSV."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows([headings, *lines])
    return written.getvalue()
