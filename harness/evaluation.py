"""The result of evaluating versions: the accuracy matrix, and what is said beside it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from adapters.measures import ContinualMeasures, continual_measures
from adapters.reliability import Reliability
from harness.answers import SetComparison, SetMistakes
from harness.table import Figure
from workers.learning.evaluation import MeasuredAccuracy
from workers.learning.rejection import Rejection

SCALARS = ("transfer", "average", "last", "backward_transfer", "forgetting")


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A set of test images.

    Attributes:
        name: Of the task or the set; unique.
        source: Id of the submission, or where the set's images are.
        images: How many there are.
        classes: How many it has.
        settings: Of the method, as the submission says them.
        seed: The same; None where nothing is learnt from the set.
    """

    name: str
    source: str
    images: int
    classes: int
    settings: Mapping[str, Any]
    seed: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluatedVersion:
    """One version and what it answers right.

    Attributes:
        number: Of the version.
        digest: Of its manifest.
        method: That it was learnt with.
        submissions: Its tasks.
        size_bytes: Of its records.
        seconds: How long it took to answer all images.
        candidates: Among how many classes it chose.
        accuracies: Of each column.
        served: The same as `predict` answers, among the classes that it has learnt; None of a
            column with others.
        served_candidates: How many these are.
        reliability: How far what is served can be believed, over all columns that it has learnt;
            None where it has learnt none of them.
        rejected: Of each column, which share of its images is of none of the learnt classes; None
            of a column of which nothing was measured, and None where that was not asked.
    """

    number: int
    digest: str
    method: str
    submissions: tuple[str, ...]
    size_bytes: int
    seconds: float
    candidates: int
    accuracies: tuple[MeasuredAccuracy, ...]
    served: tuple[MeasuredAccuracy | None, ...]
    served_candidates: int
    reliability: Reliability | None
    rejected: tuple[Rejection | None, ...] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Evaluation:
    """How versions answer test images; accuracies from 0 to 1, confusion in percent.

    Attributes:
        adapter: Whose versions they are.
        fingerprint: Of the encoder.
        columns: What they are measured on.
        zero_shot: The row of the encoder alone.
        zero_shot_candidates: Among how many classes it chose.
        versions: The rows.
        collisions: For each name that several of the columns measured, their classes.
        remarks: What people should know before they trust a figure.
        confusion: Row j, column k: of the images of column j, those that the last row takes for a
            class of the task k of `tasks`.
        mistakes: What the last row gets wrong about each column.
        comparisons: What the last row has won and lost of each column against the row before it;
            none where there is one row alone.
        files: Of each column, what reads the file of the image at a place: None where it has been
            removed.
        reject: The rate of false alarms at which versions rejected; None where that was not asked.
    """

    adapter: str
    fingerprint: str
    columns: tuple[Column, ...]
    zero_shot: tuple[MeasuredAccuracy, ...]
    zero_shot_candidates: int
    versions: tuple[EvaluatedVersion, ...]
    collisions: Mapping[str, Sequence[str]]
    remarks: tuple[str, ...]
    tasks: tuple[str, ...]
    confusion: tuple[tuple[float, ...], ...]
    mistakes: tuple[SetMistakes, ...]
    comparisons: tuple[SetComparison, ...]
    files: tuple[Callable[[int], bytes | None], ...]
    reject: float | None = None

    @property
    def is_sequence(self) -> bool:
        """Whether row j has learnt the first j columns, and nothing else."""
        rows, sources = len(self.versions), tuple(column.source for column in self.columns)
        return rows <= len(sources) and [version.submissions for version in self.versions] == [
            sources[: place + 1] for place in range(rows)
        ]

    @property
    def metrics(self) -> ContinualMeasures | None:
        """Transfer and so on over what was learnt; None where the rows are no sequence of it."""
        return self._of(lambda measured: measured.accuracy)

    @property
    def metrics_alike(self) -> ContinualMeasures | None:
        """The same where a class of the same name counts as right."""
        return self._of(lambda measured: measured.alike)

    def _of(self, value: Callable[[MeasuredAccuracy], float]) -> ContinualMeasures | None:
        if not self.is_sequence:
            return None
        learnt = len(self.versions)
        return continual_measures(
            [
                [value(measured) for measured in version.accuracies[:learnt]]
                for version in self.versions
            ]
        )


class HasMetrics(Protocol):
    """Something that was measured of an adapter."""

    @property
    def metrics(self) -> object | None:
        """Its figures, with one for each of `SCALARS`; None where it has none."""


def over_adapters(found: Sequence[HasMetrics]) -> dict[str, Figure]:
    """Return each figure of several adapters in percent, such as of one sequence in several seeds.

    The mean and half of its 95 % confidence interval; nothing where an adapter lacks figures.
    """
    metrics = [each.metrics for each in found]
    if len(found) < 2 or None in metrics:
        return {}
    values = {
        name: [100 * value for each in metrics if (value := getattr(each, name)) is not None]
        for name in SCALARS
    }
    return {name: Figure.of(all_of) for name, all_of in values.items() if len(all_of) == len(found)}
