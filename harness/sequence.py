"""One method on one sequence of image sets: learnt task by task, measured after each.

Two protocols: `all`, where the classes of all sets are candidates from the beginning, the ones not
learnt yet by their text features; and `seen`, where only learnt classes are candidates, for sets
without text features.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Literal

from adapters.adapter import Adapter
from adapters.contract.adapter_state import AdapterState, encode_shared
from adapters.contract.learning import learn
from adapters.contract.method import Method
from adapters.contract.records import encode_record
from adapters.contract.training_inputs import TrainingInputs
from adapters.measures import ContinualMeasures, continual_measures
from harness.answers import Answered, some_answered, taken_for
from harness.measured_set import MeasuredSet, accuracies_of, predicted_by, unseen_of
from harness.process import peak_bytes, reset_peak

Candidates = Literal["all", "seen"]
SCORED = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What was measured after one task; accuracies in percent, one per set.

    Attributes:
        accuracies: Of the classes that are predicted.
        alike: The same where a class of the same name counts as right, whatever its task.
        learning_s: Seconds that the task took to learn.
        kept_bytes: What it leaves behind.
    """

    accuracies: tuple[float, ...]
    alike: tuple[float, ...]
    learning_s: float
    kept_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Finish:
    """What the last version is like.

    Attributes:
        building_s: Seconds to put it together from its records.
        scoring_ms: Milliseconds per image, in batches of 256.
        peak_bytes: Most memory that the process has held since the run began or went on.
        confusion: Row j, column k: percent of the images of set j that are taken for a class of
            task k.
        answered: The first test images of every set and their answers.
    """

    building_s: float
    scoring_ms: float
    peak_bytes: int
    confusion: tuple[tuple[float, ...], ...]
    answered: tuple[Answered, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceRun:
    """What one run gave; accuracies in percent.

    Attributes:
        steps: One per task. Under `seen` step j has only j + 1 accuracies.
        finish: What the last version is like.
        classes: Of all tasks.
    """

    steps: tuple[Step, ...]
    finish: Finish
    classes: int

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


Keep = Callable[[AdapterState, Step], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """The first tasks of a run that was stopped.

    Attributes:
        state: What their last version holds.
        steps: What was measured after each.
    """

    state: AdapterState = field(default_factory=AdapterState)
    steps: tuple[Step, ...] = ()


def run_sequence(
    method: Method,
    sets: Sequence[MeasuredSet],
    *,
    settings: Sequence[Mapping[str, Any]],
    seed: int,
    candidates: Candidates = "all",
    done: Begun | None = None,
    keep: Keep = lambda _state, _step: None,
) -> SequenceRun:
    """Learn `sets` one after the other and measure after each.

    Args:
        method: What learns.
        sets: In the order of the tasks.
        settings: For each of them.
        seed: Of the method.
        candidates: Which classes an image may be taken for.
        done: The first tasks, from a run that was stopped.
        keep: Given each version and what was measured of it, as soon as it is there.
    """
    reset_peak()
    done = done or Begun()
    state, steps = done.state, list(done.steps)
    adapter = None
    for place in range(len(steps), len(sets)):
        each = sets[place]
        started = time.perf_counter()
        inputs = TrainingInputs(
            task=each.task,
            past=state,
            text=each.text,
            settings=settings[place],
            seed=seed,
        )
        state = learn(method, inputs)
        learning_s = time.perf_counter() - started
        adapter = _grown(adapter, state, method)
        unseen = unseen_of(sets[place + 1 :]) if candidates == "all" else None
        measured = sets if candidates == "all" else sets[: place + 1]
        right = [accuracies_of(predicted_by(adapter, one, unseen), one) for one in measured]
        step = Step(
            accuracies=tuple(100 * same for same, _ in right),
            alike=tuple(100 * alike for _, alike in right),
            learning_s=learning_s,
            kept_bytes=_kept_bytes(state),
        )
        steps.append(step)
        keep(state, step)
    return SequenceRun(
        steps=tuple(steps),
        finish=_finish(method, state, sets),
        classes=sum(len(record.classes) for record in state.records),
    )


def _grown(adapter: Adapter | None, state: AdapterState, method: Method) -> Adapter:
    """Return the adapter of `state`, out of that of the version before where nothing is shared."""
    if adapter is None or state.shared is not None:
        return Adapter(state.records, shared=state.shared, method=method)
    return adapter.extended(state.records[-1])


def _kept_bytes(state: AdapterState) -> int:
    """Return what the newest version adds: its record, and its shared state."""
    shared = len(encode_shared(state.shared)) if state.shared else 0
    return len(encode_record(state.records[-1])) + shared


def _finish(method: Method, state: AdapterState, sets: Sequence[MeasuredSet]) -> Finish:
    building_s, scoring_ms = scoring_times(method, state, sets[-1])
    adapter = Adapter(state.records, shared=state.shared, method=method)
    predicted = [predicted_by(adapter, one, None) for one in sets]
    tasks = [one.task.task for one in sets]
    return Finish(
        building_s=building_s,
        scoring_ms=scoring_ms,
        peak_bytes=peak_bytes(),
        confusion=tuple(taken_for(found, tasks) for found in predicted),
        answered=tuple(
            answer
            for found, one in zip(predicted, sets, strict=True)
            for answer in some_answered(one.task.task, found, one.truth)
        ),
    )


def scoring_times(
    method: Method, state: AdapterState, measured: MeasuredSet
) -> tuple[float, float]:
    """Return seconds until a version has scored one image, and milliseconds per image then."""
    images = measured.test_features[:SCORED]
    scale = measured.text.logit_scale
    started = time.perf_counter()
    adapter = Adapter(state.records, shared=state.shared, method=method)
    adapter.score(images[:1], encoder=adapter.encoder, logit_scale=scale)
    built = time.perf_counter()
    adapter.score(images, encoder=adapter.encoder, logit_scale=scale)
    return built - started, 1e3 * (time.perf_counter() - built) / len(images)
