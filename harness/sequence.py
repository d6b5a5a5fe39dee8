"""One method on one sequence of image sets: learnt task by task, measured after each.

Two protocols: `all`, where the classes of all sets are candidates from the beginning, the ones not
learnt yet by their text features; and `seen`, where only learnt classes are candidates, as in
class-incremental learning and for sets without text features.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.adapter import Adapter
from adapters.contract.adapter_state import AdapterState, encode_shared
from adapters.contract.learning import learn
from adapters.contract.method import Method
from adapters.contract.records import encode_record
from adapters.contract.training_inputs import TrainingInputs
from harness.answers import answers_by_set, names_of, set_mistakes, taken_for
from harness.costs import request_cost, scoring_times
from harness.measured_set import MeasuredSet, accuracies_of, predicted_by, unseen_of
from harness.process import peak_bytes, reset_peak
from harness.sequence_run import Finish, SequenceRun, Step
from harness.suite import Candidates
from workers.learning.evaluation import Predicted

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
    adapter, predicted = None, list[Predicted]()
    for place in range(len(steps), len(sets)):
        each = sets[place]
        started, used = time.perf_counter(), time.process_time()
        inputs = TrainingInputs(
            task=each.task,
            past=state,
            text=each.text,
            images=each.images,
            settings=settings[place],
            seed=seed,
        )
        state = learn(method, inputs)
        learning_s, processor_s = time.perf_counter() - started, time.process_time() - used
        adapter = _grown(adapter, state, method)
        unseen = unseen_of(sets[place + 1 :]) if candidates == "all" else None
        measured = sets if candidates == "all" else sets[: place + 1]
        predicted = [predicted_by(adapter, one, unseen) for one in measured]
        right = [
            accuracies_of(found.classes, one)
            for found, one in zip(predicted, measured, strict=True)
        ]
        step = Step(
            accuracies=tuple(100 * same for same, _ in right),
            alike=tuple(100 * alike for _, alike in right),
            learning_s=learning_s,
            processor_s=processor_s,
            kept_bytes=len(encode_record(state.records[-1])) + _shared_bytes(state),
            shared_bytes=_shared_bytes(state),
        )
        steps.append(step)
        keep(state, step)
    return SequenceRun(
        steps=tuple(steps),
        finish=_finish(method, state, sets, predicted),
        classes=sum(len(record.classes) for record in state.records),
        images=tuple(len(one.test_labels) for one in sets),
    )


def _grown(adapter: Adapter | None, state: AdapterState, method: Method) -> Adapter:
    """Return the adapter of `state`, out of that of the version before where nothing is shared."""
    if adapter is None or state.shared is not None:
        return Adapter(state.records, shared=state.shared, method=method)
    return adapter.extended(state.records[-1])


def _shared_bytes(state: AdapterState) -> int:
    return len(encode_shared(state.shared)) if state.shared else 0


def _finish(
    method: Method,
    state: AdapterState,
    sets: Sequence[MeasuredSet],
    predicted: Sequence[Predicted],
) -> Finish:
    """Return what the last version is like.

    Args:
        method: What has learnt.
        state: What the version holds.
        sets: Its tasks.
        predicted: By it, for every set; nothing where the run went on after its last task.
    """
    adapter = Adapter(state.records, shared=state.shared, method=method)
    building_s, scoring_ms = scoring_times(method, state, sets[-1])
    found = predicted or [predicted_by(adapter, one, None) for one in sets]
    tasks, truths = [one.task.task for one in sets], [one.truth for one in sets]
    return Finish(
        building_s=building_s,
        scoring_ms=scoring_ms,
        request_cost=request_cost(adapter, sets[-1]),
        peak_bytes=peak_bytes(),
        confusion=tuple(taken_for(each.classes, tasks) for each in found),
        candidates=sum(len(record.classes) for record in state.records),
        mistakes=set_mistakes(answers_by_set(tasks, found, truths), names_of(found, truths)),
    )
