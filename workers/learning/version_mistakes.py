"""Mistakes of a published version, from the answers that were kept when it was published."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from adapters.contract.nearest import did_you_mean
from adapters.errors import NotFoundError
from adapters.mistakes import Mistakes, Most, mistakes
from workers.registry.documents.answer_sheet import AnswerSheet
from workers.registry.documents.manifest import Manifest
from workers.registry.reader import AdapterReader


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionMistakes:
    """What a version gets wrong about the test images of its tasks.

    Attributes:
        manifest: The version.
        candidates: Among how many classes each answer was chosen.
        names: What people read of classes, by their ids.
        submissions: Whose test images they are, by task.
        tasks: What it gets wrong, by task.
    """

    manifest: Manifest
    candidates: int
    names: Mapping[str, str]
    submissions: Mapping[str, str]
    tasks: Mapping[str, Mistakes]


def version_mistakes(
    reader: AdapterReader,
    version: int | str,
    *,
    task: str | None = None,
    truth: Collection[str] = (),
    answer: Collection[str] = (),
    most: Most | None = None,
) -> VersionMistakes:
    """Return what a version, given by alias or number, gets wrong.

    Args:
        reader: The adapter.
        version: The version.
        task: Only its test images; None for those of all tasks.
        truth: Only wrong images of these classes, by id; all where there are none.
        answer: Only wrong images that are taken for these.
        most: How much is listed of each task.

    Raises:
        NotFoundError: no such adapter, version, task or class, or its answers were not kept.
    """
    manifest = reader.manifest(version)
    sheet = reader.answer_sheet(manifest.number)
    if sheet is None:
        raise NotFoundError(
            f"the answers of {reader.name}@{manifest.number} were not kept: it was published by "
            "`nacre drop` or an earlier release, without test images or without being measured, or "
            f"a task of it was purged; `nacre evaluate --versions {manifest.number}` measures it "
            "now",
            adapter=reader.name,
            version=manifest.number,
        )
    _check(sheet, task, {*truth, *answer})
    chosen = None if task is None else [task]
    return VersionMistakes(
        manifest=manifest,
        candidates=sheet.candidates,
        names=sheet.names,
        submissions={each.task: each.submission for each in sheet.tasks},
        tasks=mistakes(sheet.sets, chosen, most=most, truth=truth, answer=answer),
    )


def _check(sheet: AnswerSheet, task: str | None, classes: Collection[str]) -> None:
    """Raise NotFoundError where the answers know no such task or class."""
    known = [each.task for each in sheet.tasks]
    if task is not None and task not in known:
        raise NotFoundError(
            f"expected a task with test images, of {', '.join(known)}, found {task!r}"
            f"{did_you_mean(task, known)}",
            task=task,
        )
    for name in classes:
        if name not in sheet.names:
            raise NotFoundError(
                f"no test image is of class {name!r} or was taken for it; expected TASK/KEY, such "
                f"as {next(iter(sheet.names), 'digits/3')}{did_you_mean(name, sheet.names)}"
            )
