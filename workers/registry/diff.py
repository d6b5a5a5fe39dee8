"""Difference between two versions."""

from dataclasses import dataclass

from workers.registry.documents.accuracy import TaskAccuracy
from workers.registry.documents.manifest import Manifest, TaskRef
from workers.registry.reader import AdapterReader


@dataclass(frozen=True, kw_only=True, slots=True)
class AccuracyChange:
    """A task's accuracy in both versions; None where it was not measured."""

    task: str
    before: float | None
    after: float | None


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
    """

    before: Manifest
    after: Manifest
    added: tuple[TaskRef, ...]
    removed: tuple[TaskRef, ...]
    replaced: tuple[TaskRef, ...]
    classes: int
    size_bytes: int
    accuracies: tuple[AccuracyChange, ...]


def diff(reader: AdapterReader, before: int | str, after: int | str) -> Difference:
    """Return what changed from version `before` to version `after`, by alias or number."""
    old, new = reader.manifest(before), reader.manifest(after)
    old_tasks = {task.task: task for task in old.tasks}
    new_tasks = {task.task: task for task in new.tasks}
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
    )


def _changes(
    before: tuple[TaskAccuracy, ...], after: tuple[TaskAccuracy, ...]
) -> tuple[AccuracyChange, ...]:
    old = {each.task: each.accuracy for each in before}
    new = {each.task: each.accuracy for each in after}
    return tuple(
        AccuracyChange(task=task, before=old.get(task), after=new.get(task))
        for task in dict.fromkeys((*new, *old))
    )
