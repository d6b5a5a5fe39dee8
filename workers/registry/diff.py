"""Difference between two versions."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters.mistakes import Comparison, compared
from adapters.uncertainty import Interval
from workers.registry.documents.accuracy import TaskAccuracy
from workers.registry.documents.answer_sheet import AnswerSheet
from workers.registry.documents.manifest import Manifest, TaskRef
from workers.registry.reader import AdapterReader


@dataclass(frozen=True, kw_only=True, slots=True)
class AccuracyChange:
    """A task's accuracy in both versions; None where it was not measured.

    Attributes:
        task: The task's name.
        before: In the one version, from 0 to 1.
        after: In the other version.
        images: Test images of the later one that was measured.
        before_interval: The 95 % confidence interval of `before`.
        after_interval: That of `after`.
    """

    task: str
    before: float | None
    after: float | None
    images: int = 0
    before_interval: Interval | None = None
    after_interval: Interval | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """What changed from one version to another.

    Attributes:
        before: The one version.
        after: The other version.
        added: Tasks that only `after` has.
        removed: Tasks that only `before` has.
        replaced: Tasks of the same name whose records differ, as `after` has them.
        classes: Classes of `after` minus classes of `before`.
        size_bytes: Bytes of `after` minus bytes of `before`.
        accuracies: Of every task that was measured in either, in the order of `after`.
        candidates: Among how many classes either version chose when it was measured.
        comparisons: By task, what `after` has won and lost of the same test images; only tasks of
            which the answers of both versions were kept.
        names: What people read of the classes in these, by their ids.
    """

    before: Manifest
    after: Manifest
    added: tuple[TaskRef, ...]
    removed: tuple[TaskRef, ...]
    replaced: tuple[TaskRef, ...]
    classes: int
    size_bytes: int
    accuracies: tuple[AccuracyChange, ...]
    candidates: tuple[int, int]
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


def diff(reader: AdapterReader, before: int | str, after: int | str) -> Difference:
    """Return what changed from version `before` to version `after`, by alias or number."""
    old, new = reader.manifest(before), reader.manifest(after)
    old_tasks = {task.task: task for task in old.tasks}
    new_tasks = {task.task: task for task in new.tasks}
    sheets = [reader.answer_sheet(version.number) for version in (old, new)]
    counts = [
        sheet.candidates if sheet else version.class_count
        for sheet, version in zip(sheets, (old, new), strict=True)
    ]
    shared = [task for task in new.tasks if task.task in old_tasks]
    return Difference(
        before=old,
        after=new,
        added=tuple(task for task in new.tasks if task.task not in old_tasks),
        removed=tuple(task for task in old.tasks if task.task not in new_tasks),
        replaced=tuple(
            task for task in shared if task.record.ref != old_tasks[task.task].record.ref
        ),
        classes=new.class_count - old.class_count,
        size_bytes=new.size_bytes - old.size_bytes,
        accuracies=_changes(reader.accuracies(old.number), reader.accuracies(new.number)),
        candidates=(counts[0], counts[1]),
        comparisons=comparisons(*sheets),
        names={name: called for each in sheets if each for name, called in each.names.items()},
    )


def comparisons(before: AnswerSheet | None, after: AnswerSheet | None) -> dict[str, Comparison]:
    """Return what `after` has won and lost, by task; only tasks with the same test images."""
    if before is None or after is None:
        return {}
    old = {each.submission: each.answers for each in before.tasks}
    return {
        each.task: compared(old[each.submission], each.answers)
        for each in after.tasks
        if each.submission in old and old[each.submission].truth == each.answers.truth
    }


def _changes(
    before: tuple[TaskAccuracy, ...], after: tuple[TaskAccuracy, ...]
) -> tuple[AccuracyChange, ...]:
    old = {each.task: each for each in before}
    new = {each.task: each for each in after}
    return tuple(
        _change(task, old.get(task), new.get(task)) for task in dict.fromkeys((*new, *old))
    )


def _change(task: str, before: TaskAccuracy | None, after: TaskAccuracy | None) -> AccuracyChange:
    latest = after or before
    return AccuracyChange(
        task=task,
        before=before.accuracy if before else None,
        after=after.accuracy if after else None,
        images=latest.images if latest else 0,
        before_interval=before.interval if before else None,
        after_interval=after.interval if after else None,
    )
