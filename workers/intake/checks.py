"""Validation of a task's images: everything that is wrong is reported at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor

from adapters.errors import ClassNameError, ImageError, InputError
from workers.formats.problems import shown
from workers.intake.counts import SourceCount, counts_of
from workers.intake.reading import Sample, Unreadable
from workers.sources import job_hint
from workers.tasks.submission import Split
from workers.tasks.task import Task

# 0.29 * 100 is a little less than 29.
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """A task's images, and what was found wrong with them.

    Attributes:
        samples: The images that can be used, each content once in a class and split.
        skipped: Sentences on the unreadable images that the task allows to leave out.
        duplicates: Sentences on further copies of an image in its class.
        findings: What stands against accepting the task.
        counts: What became of everything in each source.
    """

    samples: tuple[Sample, ...]
    skipped: tuple[str, ...]
    duplicates: tuple[str, ...]
    findings: tuple[InputError, ...]
    counts: Mapping[Split, SourceCount]


def check_images(task: Task, read: Iterable[Sample | Unreadable]) -> Checked:
    """Return the images that can be used, and all that was found."""
    samples: list[Sample] = []
    unreadable: list[Unreadable] = []
    for image in read:
        if isinstance(image, Sample):
            samples.append(image)
        else:
            unreadable.append(image)
    total = len(samples) + len(unreadable)
    distinct, copies, disputed = _without_copies(task, samples)
    findings: list[InputError | None] = [
        _too_many_unreadable(task, unreadable, total),
        _in_two_classes(task, disputed),
        _in_both_splits(task, distinct),
    ]
    if findings[0] is None:
        findings.append(_without_images(task, distinct))
    return Checked(
        samples=tuple(distinct),
        skipped=tuple(image.problem for image in unreadable),
        duplicates=tuple(copies),
        findings=tuple(finding for finding in findings if finding is not None),
        counts=counts_of(task, distinct, unreadable),
    )


def _without_copies(
    task: Task, samples: Sequence[Sample]
) -> tuple[list[Sample], list[str], list[str]]:
    """Return the first of each content in a split; copies in its class; copies in another."""
    keys = tuple(task.classes)
    first: dict[tuple[str, str], Sample] = {}
    copies, disputed = [], []
    for sample in samples:
        original = first.setdefault((sample.split, sample.digest), sample)
        if original is sample:
            continue
        if original.label == sample.label:
            copies.append(f"{sample.ref.origin} is the same image as {original.ref.origin}")
        else:
            disputed.append(
                f"{original.ref.origin} ({keys[original.label]}) and {sample.ref.origin} "
                f"({keys[sample.label]})"
            )
    return list(first.values()), copies, disputed


def _too_many_unreadable(task: Task, unreadable: list[Unreadable], total: int) -> ImageError | None:
    allowed = floor(task.skip_unreadable * total + _ROUNDING)
    if len(unreadable) <= allowed:
        return None
    problems = tuple(image.problem for image in unreadable)
    beyond = f" ({allowed} may be skipped)" if allowed else ""
    hint = job_hint() if any(image.missing_here for image in unreadable) else ""
    return ImageError(
        f"{len(problems)} of the {total} images of task {task.name!r} cannot be used{beyond}; "
        f"repair or remove them and submit again:{shown(problems)}{hint and '.' + hint}",
        task=task.name,
        bad_images=len(problems),
        problems=problems,
    )


def _in_two_classes(task: Task, problems: list[str]) -> ImageError | None:
    if not problems:
        return None
    return ImageError(
        f"{len(problems)} images of task {task.name!r} are in two classes; leave each in the one "
        f"it belongs to:{shown(problems)}",
        task=task.name,
        problems=tuple(problems),
    )


def _in_both_splits(task: Task, samples: list[Sample]) -> ImageError | None:
    learnt = {sample.digest: sample for sample in samples if sample.split == "train"}
    problems = tuple(
        f"{sample.ref.origin} and {learnt[sample.digest].ref.origin}"
        for sample in samples
        if sample.split == "held_out" and sample.digest in learnt
    )
    if not problems:
        return None
    return ImageError(
        f"{len(problems)} test images of task {task.name!r} are also training images; remove "
        "them from one of the two, or the measured accuracy means nothing:" + shown(problems),
        task=task.name,
        shared_images=len(problems),
        problems=problems,
    )


def _without_images(task: Task, samples: list[Sample]) -> ClassNameError | None:
    """Find classes of whose images none can be read, though the task allows to skip so many."""
    present = {sample.label for sample in samples if sample.split == "train"}
    empty = tuple(key for label, key in enumerate(task.classes) if label not in present)
    if not empty:
        return None
    return ClassNameError(
        f"classes of task {task.name!r} without a training image that can be read:"
        f"{shown(empty)}\nadd images, or leave the classes out",
        task=task.name,
        problems=empty,
    )
