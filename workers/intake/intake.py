"""Intake: validate a task, store its images, write the submission.

    first pass     every image is read once, decoded and compared with the others
    checks         all that is wrong is one report, and nothing has been stored
    second pass    shard by shard, images are read again and stored
    submission     written last, and only if nobody has written it already

Nothing is acknowledged before it is durable. What an interrupted intake leaves behind is never
referenced.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from adapters.contract.counts import agreeing, counted
from adapters.errors import InputError, UnavailableError, one_line
from workers.formats.problems import raise_all
from workers.intake.checks import Checked, check_images
from workers.intake.counts import SPLITS, SourceCount
from workers.intake.identity import Reusable, check_fits, find_generation, identify, write
from workers.intake.naming import NO_NAMES, KnownNames, Naming, SharedName, naming_of
from workers.intake.packing import Planned, plan_shards, store_shards
from workers.intake.reading import Sample, count_images, read_images
from workers.intake.test_split import with_test_split
from workers.progress_callbacks import ProgressCallback, unwatched
from workers.store.base import ObjectStore
from workers.tasks.shards import packed_size
from workers.tasks.submission import Learning, Shard, Split, Submission
from workers.tasks.task import SharedNames, Task

Item = TypeVar("Item")
Admit = Callable[[int], Learning | None]
"""See `take_in`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """The result of taking a task in.

    Attributes:
        submission: What is stored.
        is_new: Whether this call stored it; otherwise the same had been submitted before.
        skipped: Sentences on the first images that were left out because they cannot be read.
        duplicates: Sentences on the first further copies of an image, which were left out.
        shared: Class names that other tasks have too.
        choice: What the task does about those.
        cut: Prompts of which the encoder does not read the end.
        counts: What became of everything in each source.
        elsewhere: How many of its images each other task of the adapter has, of those that have.
        warnings: What may not be as whoever submitted thinks, one sentence each.
    """

    submission: Submission
    is_new: bool
    skipped: tuple[str, ...] = ()
    duplicates: tuple[str, ...] = ()
    shared: tuple[SharedName, ...] = ()
    choice: SharedNames | None = None
    cut: tuple[str, ...] = ()
    counts: Mapping[Split, SourceCount] = field(default_factory=dict)
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def images(self) -> Mapping[Split, int]:
        """Images of each split."""
        return {split: self.submission.images(split) for split in ("train", "held_out")}

    def sources(self) -> dict[str, Any]:
        """Return the counts of each source by its key in the task file, as JSON."""
        keys: Mapping[Split, str] = {"train": "images", "held_out": "held_out"}
        return {keys[split]: count.to_json() for split, count in self.counts.items()}

    def notes(self) -> tuple[str, ...]:
        """Return what whoever submitted should know, one sentence each; warnings come last."""
        counts = self.counts.items()
        refused = sum(count.refused for _, count in counts)
        copies = sum(count.copies for _, count in counts)
        notes = (
            (self.submission.set_aside, self._drawn()),
            *((str(count.survey), f"{SPLITS[split]}: {count.survey}") for split, count in counts),
            (
                self.skipped,
                f"{counted(refused, 'image')} that cannot be read {agreeing(refused, 'was')} "
                f"skipped: {_first(self.skipped, refused)}",
            ),
            (
                self.duplicates,
                f"{counted(copies, 'copy')} of an image {agreeing(copies, 'was')} left out: "
                f"{_first(self.duplicates, copies)}",
            ),
            (
                self.cut,
                f"{counted(len(self.cut), 'prompt')} {agreeing(len(self.cut), 'is')} longer than "
                f"the encoder reads, so that the end counts for nothing: "
                f"{_first(tuple(map(repr, self.cut)), len(self.cut))}",
            ),
            (self.shared, f"{_DONE.get(self.choice, '')}: {', '.join(map(str, self.shared))}"),
        )
        told = (note for condition, note in notes if condition)
        return tuple(map(one_line, (*told, *self._shared_images(), *self.warnings)))

    def _shared_images(self) -> Iterator[str]:
        for task, number in self.elsewhere.items():
            yield (
                f"warning: {counted(number, 'image')} {agreeing(number, 'is')} also in task "
                f"{task!r} of this adapter, so that its classes and these are right for the same "
                "pictures; if that is not meant, cancel it (`nacre cancel`) and submit it again "
                "without them"
            )

    def _drawn(self) -> str:
        number = self.images["held_out"]
        return (
            f"{number} of the training images, a tenth of each class, {agreeing(number, 'was')} "
            "drawn as the test split, which measures accuracy and is never learnt from"
        )


_DONE: Mapping[SharedNames | None, str] = {
    "keep": "names that other tasks have too were kept",
    "merge": "classes count as those of other tasks",
    "qualify": "names that other tasks have too were qualified",
}


_NAMED = 3
"""So many examples are named in a note."""


def _first(examples: Sequence[str], count: int) -> str:
    more = f"; and {count - _NAMED} more" if count > _NAMED else ""
    return "; ".join(examples[:_NAMED]) + more


def always(submission_id: str) -> bool:
    """Say of every submission that it does what is asked for."""
    del submission_id
    return True


def take_in(
    task: Task,
    store: ObjectStore,
    *,
    now: float,
    author: str,
    known: KnownNames = NO_NAMES,
    reusable: Reusable = always,
    admit: Admit = lambda _: None,
    on_progress: ProgressCallback = unwatched,
) -> Intake:
    """Check `task`, pack its images into `store`, and write its submission.

    Where the same content was submitted before and `reusable` says that this submission still does
    what is asked for, it is returned and nothing is stored. Otherwise its next generation is
    opened.

    Args:
        task: What to learn.
        store: The object store that the cluster works on.
        now: Seconds since the epoch.
        author: Who submits.
        known: What the names of the classes are compared with.
        reusable: Says of a submission's id that it is open, or that its task is in `head`.
        admit: Called before a new submission is stored, with the bytes that its images take in the
            store; returns by what it is to be learnt, None where the system is to know, and raises
            what keeps it from being accepted.
        on_progress: Called with steps done and steps in all; every image is two, one when it has
            been checked and one when it is stored.

    Raises:
        InputError: The task cannot be learnt as it is; all that is wrong is reported at once, and
            nothing is stored. ImageError or ClassNameError where only one thing is wrong.
        UnavailableError: The store cannot be reached.
    """
    total = count_images(task)
    checked = check_images(task, _counted(read_images(task), total, on_progress))
    found = examine(task, store, checked, known=known, reusable=reusable, admit=admit)
    raise_all(found.findings)
    if found.before is not None:
        on_progress(2 * total, 2 * total)
        return _result(found.before, checked, found.naming, is_new=False)
    draft = draft_of(task, found, author=author, now=now)
    check_fits(draft)
    complete = replace(draft, shards=_stored(store, found.planned, total, on_progress))
    submission, is_new = write(store, complete, found.first, reusable=reusable)
    on_progress(2 * total, 2 * total)
    result = _result(submission, checked, found.naming, is_new=is_new)
    shared, choice = found.naming.shared, task.shared_names
    return replace(result, shared=shared, choice=choice) if is_new else result


@dataclass(frozen=True, kw_only=True, slots=True)
class Examined:
    """What a task would be taken in as; nothing of it is stored.

    Attributes:
        checked: Its images.
        naming: Its classes.
        planned: Its shards, complete but for their digests, and the images of each.
        findings: What stands against it, which whoever submits can change.
        first: The id of its first generation; empty where its images stand against it.
        before: The submission that does already what is asked for.
        learning: By what it would be learnt; None where the system is to know.
    """

    checked: Checked
    naming: Naming
    planned: Sequence[Planned]
    findings: tuple[InputError, ...]
    first: str = ""
    before: Submission | None = None
    learning: Learning | None = None


def examine(
    task: Task,
    store: ObjectStore,
    checked: Checked,
    *,
    known: KnownNames,
    reusable: Reusable,
    admit: Admit,
) -> Examined:
    """Return what `task` would be taken in as, and all that stands against it.

    The arguments are those of `take_in`; `checked` are the images of `task`.

    Raises:
        UnavailableError: The store cannot be reached.
    """
    naming = naming_of(task, known)
    samples = checked.samples if task.held_out else with_test_split(checked.samples, seed=task.seed)
    found = Examined(checked=checked, naming=naming, planned=plan_shards(samples), findings=())
    if checked.findings:
        refused: list[InputError] = []
        with suppress(UnavailableError):  # waiting would not mend these
            refused = _admission(admit, samples)[1]
        return replace(found, findings=(*checked.findings, *naming.findings, *refused))
    first = identify(task, ((each.split, each.digest, each.label) for each in samples))
    before = find_generation(store, first, reusable=reusable).stored
    if before is not None:
        return replace(found, first=first, before=before)
    learning, refused = _admission(admit, samples)
    return replace(found, first=first, learning=learning, findings=(*naming.findings, *refused))


def _admission(admit: Admit, samples: Iterable[Sample]) -> tuple[Learning | None, list[InputError]]:
    """Return by what a submission is learnt, and why it is not accepted if it is not.

    Only what whoever submits can change is returned; everything else is raised.
    """
    try:
        return admit(packed_size(sample.size for sample in samples)), []
    except InputError as error:
        return None, [error]


def draft_of(task: Task, found: Examined, *, author: str, now: float) -> Submission:
    """Return the submission of `task`, complete but for its id, generation, and shards' digests."""
    checked, naming = found.checked, found.naming
    shards = tuple(shard for shard, _ in found.planned)
    return Submission(
        submission_id="",
        task=task.name,
        adapter=task.adapter,
        classes=naming.classes,
        prompt=task.prompt,
        settings=task.settings,
        seed=task.seed,
        augmentation=task.augmentation,
        shards=shards,
        set_aside=not task.held_out and any(shard.split == "held_out" for shard in shards),
        accepted_at=now,
        author=author,
        priority=task.priority,
        replaces=task.replaces,
        merges=naming.merges,
        skipped=sum(count.refused for count in checked.counts.values()),
        learning=found.learning,
    )


def _stored(
    store: ObjectStore, planned: Sequence[Planned], total: int, on_progress: ProgressCallback
) -> tuple[Shard, ...]:
    shards, done = [], total
    for shard in store_shards(store, planned):
        shards.append(shard)
        done += len(shard.labels)
        on_progress(done, 2 * total)
    return tuple(shards)


def _result(submission: Submission, checked: Checked, naming: Naming, *, is_new: bool) -> Intake:
    return Intake(
        submission=submission,
        is_new=is_new,
        skipped=checked.skipped,
        duplicates=checked.duplicates,
        cut=naming.cut,
        counts=checked.counts,
    )


def _counted(items: Iterable[Item], total: int, on_progress: ProgressCallback) -> Iterator[Item]:
    for done, item in enumerate(items, start=1):
        on_progress(done, 2 * total)
        yield item
