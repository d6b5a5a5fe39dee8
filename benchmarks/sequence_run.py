"""One method on one sequence of image sets: accuracies after every task, time and storage.

Two protocols: `all`, where the classes of all sets are candidates from the beginning, the ones not
learnt yet by their text features; and `seen`, where only learnt classes are candidates, for sets
without text features.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from adapters.inference import Adapter
from adapters.learning import learn
from adapters.method import Method
from adapters.records import Record, encode_record
from benchmarks.measured_set import MeasuredSet, accuracy, unseen_of

Candidates = Literal["all", "seen"]
_SCORED = 256


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SequenceRun:
    """What one run gave; accuracies in percent.

    Attributes:
        matrix: Row j is measured after task j, column k on task k. Under `seen` row j has only
            j + 1 columns.
        learning_s: Seconds to learn all tasks.
        building_s: Seconds to put the last version together from its records.
        scoring_ms: Milliseconds per image, in batches of 256, by the last version.
        kept_bytes: What all tasks leave behind.
        classes: Of all tasks.
    """

    matrix: Sequence[Sequence[float]]
    learning_s: float
    building_s: float
    scoring_ms: float
    kept_bytes: int
    classes: int

    @property
    def transfer(self) -> float | None:
        """Mean over tasks of the accuracy before they were learnt; None under `seen`."""
        if len(self.matrix[0]) < len(self.matrix):
            return None
        tasks = range(1, len(self.matrix))
        return fmean(fmean(row[task] for row in self.matrix[:task]) for task in tasks)

    @property
    def average(self) -> float:
        """Mean over rows of their mean."""
        return fmean(fmean(row) for row in self.matrix)

    @property
    def last(self) -> float:
        """Mean of the last row."""
        return fmean(self.matrix[-1])

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
        return max(drops)


def run_sequence(
    method: Method,
    sets: Sequence[MeasuredSet],
    *,
    settings: Mapping[str, Any],
    seed: int,
    candidates: Candidates,
) -> SequenceRun:
    """Learn `sets` one after the other and measure after each."""
    records: list[Record] = []
    matrix: list[list[float]] = []
    adapter, learning_s = None, 0.0
    for place, each in enumerate(sets):
        started = time.perf_counter()
        record = learn(method, each.task, records, text=each.text, settings=settings, seed=seed)
        learning_s += time.perf_counter() - started
        records.append(record)
        adapter = adapter.extended(record) if adapter else Adapter(records, method=method)
        unseen = unseen_of(sets[place + 1 :]) if candidates == "all" else None
        measured = sets if candidates == "all" else sets[: place + 1]
        matrix.append([100 * accuracy(adapter, one, unseen) for one in measured])
    building_s, scoring_ms = scoring_times(method, records, sets[-1])
    return SequenceRun(
        matrix=matrix,
        learning_s=learning_s,
        building_s=building_s,
        scoring_ms=scoring_ms,
        kept_bytes=sum(len(encode_record(record)) for record in records),
        classes=sum(len(record.classes) for record in records),
    )


def scoring_times(
    method: Method, records: Sequence[Record], measured: MeasuredSet
) -> tuple[float, float]:
    """Return seconds until a version from `records` has scored one image, and ms per image then."""
    images = measured.held_out[:_SCORED]
    scale = measured.text.logit_scale
    started = time.perf_counter()
    adapter = Adapter(records, method=method)
    adapter.score(images[:1], encoder=adapter.encoder, logit_scale=scale)
    built = time.perf_counter()
    adapter.score(images, encoder=adapter.encoder, logit_scale=scale)
    return built - started, 1e3 * (time.perf_counter() - built) / len(images)
