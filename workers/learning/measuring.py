"""Measuring a version that is about to be published, on its own and on all earlier tasks."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.adapter import Adapter
from adapters.contract.adapter_state import SharedState
from adapters.contract.records import decode_record
from adapters.mistakes import SetAnswers
from workers.encoding.encoder import Encoder
from workers.learning.evaluation import TaskTestSet, answers
from workers.learning.kept_answers import KeptAnswers, read_answers, surroundings
from workers.learning.measured_tasks import MeasuredTasks
from workers.learning.version_answers import VersionAnswers
from workers.registry import AnsweredTask, AnswerSheet, TaskAccuracy, TaskRef
from workers.registry.record_cache import Versions
from workers.store.base import ObjectStore
from workers.tasks.submission import Submission


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Candidate:
    """A version that is about to be published.

    Attributes:
        submission: Whose record it adds.
        parent: The version it is made from; 0 for none.
        kept: The tasks of the parent that it has too, in their order.
        content: The record's bytes.
        shared: The state that its tasks share; None for methods without any.
        code: Version of the code that measures it.
    """

    submission: Submission
    parent: int
    kept: Sequence[TaskRef]
    content: bytes
    shared: SharedState | None
    code: str

    @property
    def records(self) -> tuple[str, ...]:
        """SHA-256 of all its records, in their order."""
        own = hashlib.sha256(self.content).hexdigest()
        return (*(task.record.sha256 for task in self.kept), own)

    @property
    def submissions(self) -> dict[str, str]:
        """The ids of all its submissions, by the names of their tasks."""
        own = {self.submission.task: self.submission.submission_id}
        return {task.task: task.submission for task in self.kept} | own


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Measured:
    """What was measured of a version.

    Attributes:
        sheet: Its answers about every task that has test images here.
        kept: What the next version can be measured from; None where it has to begin anew.
    """

    sheet: AnswerSheet
    kept: KeptAnswers | None = None

    @property
    def accuracies(self) -> tuple[TaskAccuracy, ...]:
        """Its accuracy on each of these tasks."""
        return _accuracies(self.sheet.sets)


class VersionMeasuring:
    """Measures candidates, one at a time.

    Args:
        encoder: Whose features are stored.
        store: The object store.
        versions: Reads what candidates are made from.
    """

    # Owns: the latest candidate, which the next one extends where it builds on it.

    def __init__(self, encoder: Encoder, store: ObjectStore, versions: Versions) -> None:
        self._encoder = encoder
        self._store = store
        self._versions = versions
        self._measured_tasks = MeasuredTasks(encoder, store)
        self._latest: tuple[tuple[str, ...], Adapter] | None = None

    def measured(self, candidate: Candidate) -> Measured:
        """Return the candidate's accuracy on its own and on all earlier tasks."""
        adapter = self._adapter(candidate)
        tower = adapter.image_tower(self._encoder.image_tower)
        tasks = [
            *self._measured_tasks.earlier(candidate.kept, tower),
            self._measured_tasks.own(candidate.submission, tower),
        ]
        if (
            adapter.scores_stay
            and tower is self._encoder.image_tower
            and _all_learnt(adapter, tasks)
        ):
            return self._by_new_classes(candidate, adapter, tasks)
        sets = self._answers(adapter, tasks)
        return Measured(sheet=_sheet(candidate.submissions, adapter, tasks, sets))

    def of_version(
        self, name: str, number: int, tasks: Sequence[TaskRef]
    ) -> tuple[TaskAccuracy, ...]:
        """Return the accuracy of a published version on some of its tasks.

        That is for versions that were published without being measured, such as one from which a
        task was dropped.

        Args:
            name: Of the adapter.
            number: The version.
            tasks: Those to measure; what has no test images here is left out.
        """
        return _accuracies(self.sheet_of_version(name, number, tasks).sets)

    def sheet_of_version(self, name: str, number: int, tasks: Sequence[TaskRef]) -> AnswerSheet:
        """Return the answers of a published version about some of its tasks; arguments as above."""
        state = self._versions.state(name, number)
        adapter = Adapter(state.records, shared=state.shared)
        tower = adapter.image_tower(self._encoder.image_tower)
        found = [*self._measured_tasks.earlier(tasks, tower)]
        submissions = {task.task: task.submission for task in tasks}
        return _sheet(submissions, adapter, found, self._answers(adapter, found))

    def _answers(self, adapter: Adapter, tasks: Sequence[TaskTestSet]) -> dict[str, SetAnswers]:
        found = answers(adapter, tasks, self._encoder).sets
        return {
            task.name: predicted.about(task.truth)
            for task, predicted in zip(tasks, found, strict=True)
            if len(task.labels)
        }

    def _by_new_classes(
        self, candidate: Candidate, adapter: Adapter, tasks: Sequence[TaskTestSet]
    ) -> Measured:
        scale = self._encoder.logit_scale
        found = VersionAnswers(
            adapter,
            candidate.records,
            kept=read_answers(self._store, candidate.submission.adapter),
            surroundings=surroundings(adapter, logit_scale=scale, code=candidate.code),
            logit_scale=scale,
        )
        asked = [task for task in tasks if len(task.labels)]
        names = [task.name for task in asked]
        sets = dict(zip(names, found.about(asked), strict=True))
        return Measured(
            sheet=_sheet(candidate.submissions, adapter, tasks, sets), kept=found.kept()
        )

    def _adapter(self, candidate: Candidate) -> Adapter:
        """Return the candidate: the latest one and one more record, or all records opened."""
        record, digests = decode_record(candidate.content), candidate.records
        latest, self._latest = self._latest, None
        if latest is not None and latest[0] == digests[:-1] and candidate.shared is None:
            adapter = latest[1].extended(record)
        else:
            state = self._versions.state(candidate.submission.adapter, candidate.parent)
            names = {task.task for task in candidate.kept}
            past = [entry for entry in state.records if entry.task in names]
            adapter = Adapter((*past, record), shared=candidate.shared)
        if candidate.shared is None:
            self._latest = digests, adapter
        return adapter


def _accuracies(sets: Mapping[str, SetAnswers]) -> tuple[TaskAccuracy, ...]:
    return tuple(
        TaskAccuracy(task=task, accuracy=found.right / found.images, images=found.images)
        for task, found in sets.items()
    )


def _sheet(
    submissions: Mapping[str, str],
    adapter: Adapter,
    tasks: Sequence[TaskTestSet],
    sets: Mapping[str, SetAnswers],
) -> AnswerSheet:
    learnt = [entry for record in adapter.records for entry in record.classes]
    entries = [*(entry for task in tasks for entry in task.classes), *learnt]
    # A class that others count as has the last word about its name, unless it is not there.
    named = {entry.counts_as: entry.name for entry in reversed(entries)}
    named |= {entry.class_id: entry.name for entry in entries if not entry.merged_into}
    return AnswerSheet(
        candidates=len({entry.counts_as for entry in entries}),
        names=named,
        tasks=tuple(
            AnsweredTask(task=name, submission=submissions[name], answers=found)
            for name, found in sets.items()
        ),
    )


def _all_learnt(adapter: Adapter, tasks: Sequence[TaskTestSet]) -> bool:
    """Return whether the version knows every class of `tasks`: none takes part zero-shot."""
    known = {entry.class_id for record in adapter.records for entry in record.classes}
    return all(entry.class_id in known for task in tasks for entry in task.classes)
