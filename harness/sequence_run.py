"""The result of a run: accuracies after every task, and what the last version costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul
from statistics import fmean

from adapters.measures import ContinualMeasures, continual_measures
from harness.answers import Answered, SetMistakes


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What was measured after one task; accuracies in percent, one per set.

    Attributes:
        accuracies: Of the classes that are predicted.
        alike: The same where a class of the same name counts as right, whatever its task.
        learning_s: Seconds that the task took to learn.
        processor_s: Seconds of all processors that it took.
        kept_bytes: What it leaves behind: its record, and its version's shared state.
        shared_bytes: Of that, the shared state.
    """

    accuracies: tuple[float, ...]
    alike: tuple[float, ...]
    learning_s: float
    processor_s: float
    kept_bytes: int
    shared_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Finish:
    """What the last version is like.

    Attributes:
        building_s: Seconds to put it together from its records.
        scoring_ms: Milliseconds per image, in batches of 256.
        peak_bytes: Most memory that the process has held since the run began or went on.
        confusion: Row j, column k: percent of the images of set j that are taken for a class of
            task k.
        candidates: Among how many classes each answer was chosen; None in runs of early releases.
        mistakes: What it gets wrong about every set.
        answered: Some test images and their answers, in runs of early releases.
        request_cost: What an image costs from its pixels to its answer, in forwards of the
            encoder's own tower; None where there are cached features alone.
    """

    building_s: float
    scoring_ms: float
    request_cost: float | None
    peak_bytes: int
    confusion: tuple[tuple[float, ...], ...]
    candidates: int | None = None
    mistakes: tuple[SetMistakes, ...] = ()
    answered: tuple[Answered, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceRun:
    """What one run gave; accuracies in percent.

    Attributes:
        steps: One per task. Under `seen` step j has only j + 1 accuracies.
        finish: What the last version is like.
        classes: Of all tasks.
        images: How many test images each task has.
    """

    steps: tuple[Step, ...]
    finish: Finish
    classes: int
    images: tuple[int, ...]

    @property
    def matrix(self) -> Sequence[Sequence[float]]:
        """Row j is measured after task j, column k on task k."""
        return [step.accuracies for step in self.steps]

    @property
    def square(self) -> bool:
        """Whether all sets were measured from the beginning."""
        return len(self.steps[0].accuracies) == len(self.steps)

    @property
    def metrics(self) -> ContinualMeasures | None:
        """Transfer, average, last and so on; None under `seen`."""
        return continual_measures(self.matrix) if self.square else None

    @property
    def transfer(self) -> float | None:
        """Mean over tasks of the accuracy before they were learnt; None under `seen`."""
        return self.metrics.transfer if self.metrics else None

    @property
    def average(self) -> float:
        """Mean over rows of their mean."""
        return fmean(fmean(row) for row in self.matrix)

    @property
    def average_of_images(self) -> float:
        """Mean over rows of the part of all images that is right: tasks with more weigh more."""
        return fmean(map(self._of_images, self.matrix))

    @property
    def last_of_images(self) -> float:
        """The same of the last row."""
        return self._of_images(self.matrix[-1])

    def _of_images(self, row: Sequence[float]) -> float:
        counts = self.images[: len(row)]
        right: float = sum(map(mul, row, counts))
        return right / sum(counts)

    @property
    def last(self) -> float:
        """Mean of the last row."""
        return fmean(self.matrix[-1])

    @property
    def last_alike(self) -> float:
        """The same where a class of the same name counts as right."""
        return fmean(self.steps[-1].alike)

    @property
    def learning_s(self) -> float:
        """Seconds to learn all tasks."""
        return sum(step.learning_s for step in self.steps)

    @property
    def processor_s(self) -> float:
        """Seconds of all processors to learn all tasks."""
        return sum(step.processor_s for step in self.steps)

    @property
    def kept_bytes(self) -> int:
        """What all tasks leave behind."""
        return sum(step.kept_bytes for step in self.steps)

    @property
    def worst_drop(self) -> float:
        """The most that any learnt task lost at any step."""
        drops = [
            before[task] - after[task]
            for step, (before, after) in enumerate(
                zip(self.matrix[:-1], self.matrix[1:], strict=True)
            )
            for task in range(step + 1)
        ]
        return max(drops, default=0.0)
