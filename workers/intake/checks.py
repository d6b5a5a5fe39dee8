"""Validation of a task's images: everything that is wrong is reported at once."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor

from adapters.contract.counts import agreeing, counted
from adapters.errors import ClassNameError, ImageError, InputError
from workers.formats.problems import Problems, cause_of, shown
from workers.intake.counts import SourceCount, counts_of
from workers.intake.reading import Sample, Unreadable
from workers.sources import job_hint
from workers.tasks.submission import Split
from workers.tasks.task import Task

# 0.29 * 100 is a little less than 29.
_ROUNDING = 1e-9
MOST_SKIPPED = 0.2
"""Where a larger part of the images is unreadable, something is wrong with all of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """A task's images, and what was found wrong with them.

    Attributes:
        samples: The images that can be used, each content once in a class and split.
        skipped: Sentences on the first unreadable images that the task allows to leave out.
        duplicates: Sentences on the first further copies of an image in its class.
        findings: What stands against accepting the task.
        counts: What became of everything in each source.
    """

    samples: tuple[Sample, ...]
    skipped: tuple[str, ...]
    duplicates: tuple[str, ...]
    findings: tuple[InputError, ...]
    counts: Mapping[Split, SourceCount]


@dataclass(slots=True)
class _Unreadable:
    """The images that cannot be used, of which there may be as many as a list has rows."""

    problems: Problems = field(default_factory=Problems)
    splits: Counter[Split] = field(default_factory=Counter)
    missing_here: bool = False

    def add(self, image: Unreadable) -> None:
        self.problems.add(image.problem, cause=cause_of(image.problem, about=image.origin))
        self.splits[image.split] += 1
        self.missing_here |= image.missing_here


def check_images(task: Task, read: Iterable[Sample | Unreadable]) -> Checked:
    """Return the images that can be used, and all that was found."""
    samples: list[Sample] = []
    unreadable = _Unreadable()
    for image in read:
        if isinstance(image, Sample):
            samples.append(image)
        else:
            unreadable.add(image)
    distinct, copies, disputed = _without_copies(task, samples)
    findings: list[InputError | None] = [
        _too_many_unreadable(task, unreadable, len(samples) + unreadable.problems.count),
        _in_two_classes(task, disputed),
        _in_both_splits(task, distinct),
    ]
    if findings[0] is None:
        findings.append(_without_images(task, distinct))
    return Checked(
        samples=tuple(distinct),
        skipped=unreadable.problems.telling,
        duplicates=copies.kept,
        findings=tuple(finding for finding in findings if finding is not None),
        counts=counts_of(task, distinct, unreadable.splits),
    )


def _without_copies(
    task: Task, samples: Sequence[Sample]
) -> tuple[list[Sample], Problems, Problems]:
    """Return the first of each content in a split; copies in its class; copies in another."""
    keys = tuple(task.classes)
    first: dict[tuple[str, str], Sample] = {}
    copies, disputed = Problems(), Problems()
    for sample in samples:
        original = first.setdefault((sample.split, sample.digest), sample)
        if original is sample:
            continue
        if original.label == sample.label:
            copies.add(f"{sample.ref.origin} is the same image as {original.ref.origin}")
        else:
            disputed.add(
                f"{original.ref.origin} ({keys[original.label]}) and {sample.ref.origin} "
                f"({keys[sample.label]})",
                cause=f"{keys[original.label]}\n{keys[sample.label]}",
            )
    return list(first.values()), copies, disputed


def _too_many_unreadable(task: Task, unreadable: _Unreadable, total: int) -> ImageError | None:
    problems = unreadable.problems
    allowed = floor(task.skip_unreadable * total + _ROUNDING)
    if problems.count <= allowed:
        return None
    beyond = f" ({allowed} may be skipped)" if allowed else ""
    least = ceil(100 * problems.count / total) / 100
    skips = not allowed and least <= MOST_SKIPPED
    skip = f", or let a fraction be left out with `skip_unreadable: {least:g}`" if skips else ""
    hint = job_hint() if unreadable.missing_here else ""
    return ImageError(
        f"{problems.count} of the {counted(total, 'image')} of task {task.name!r} cannot be used"
        f"{beyond}; repair or remove what is named{skip}, and submit again:{problems}"
        f"{hint and '.' + hint}",
        task=task.name,
        bad_images=problems.count,
        problems=problems.kept,
    )


def _in_two_classes(task: Task, problems: Problems) -> ImageError | None:
    if not problems:
        return None
    return ImageError(
        f"{counted(problems.count, 'image')} of task {task.name!r} "
        f"{agreeing(problems.count, 'is')} in two classes; leave each in the one it belongs to:"
        f"{problems}",
        task=task.name,
        problems=problems.kept,
    )


def _in_both_splits(task: Task, samples: list[Sample]) -> ImageError | None:
    learnt = {sample.digest: sample for sample in samples if sample.split == "train"}
    problems = Problems()
    for sample in samples:
        if sample.split == "held_out" and sample.digest in learnt:
            problems.add(
                f"{sample.ref.origin} and {learnt[sample.digest].ref.origin}", cause="both"
            )
    if not problems:
        return None
    number = problems.count
    return ImageError(
        f"{counted(number, 'test image')} of task {task.name!r} "
        f"{agreeing(number, 'is')} also {'a training image' if number == 1 else 'training images'};"
        f" remove {'it' if number == 1 else 'them'} from one of the two, or the measured accuracy "
        f"means nothing:{problems}",
        task=task.name,
        shared_images=number,
        problems=problems.kept,
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
