"""Identity of submissions: an id from the content, and generations of one content."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from adapters.contract.canonical import canonical_json, digest_of
from adapters.contract.counts import counted
from adapters.errors import ConflictError, InputError
from workers.store.base import MAX_CONDITIONAL_BYTES, ObjectStore
from workers.tasks.submission import CONTENT_DIGITS, Split, Submission, find_submission

if TYPE_CHECKING:
    # What reads images needs Pillow and NumPy, and whoever relearns reads none.
    from workers.tasks.task import Task

Reusable = Callable[[str], bool]
"""Says of a submission's id whether it is open, or its task in `head`: then it is not made anew."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """Where a content stands.

    Attributes:
        submission_id: Of the generation that is to be written, or that is stored.
        generation: Its number, from 1.
        stored: The submission that does already what is asked for; None where there is none.
    """

    submission_id: str
    generation: int
    stored: Submission | None


def identify(task: "Task", images: Iterable[tuple[Split, str, int]], *, generation: int = 1) -> str:
    """Return the id that belongs to a content: the task's name and twelve hexadecimal digits.

    All that the task says of what is learnt counts, as the task says it: names that other tasks
    have too are not merged or qualified yet. What else is in the adapter by now must not make the
    same task another one.

    Args:
        task: What is submitted.
        images: Split, SHA-256 and class index of each image, in any order.
        generation: Generations after the first end with their number.
    """
    content = {
        "adapter": task.adapter,
        "classes": list(task.classes.items()),
        "prompt": task.prompt,
        "settings": dict(task.settings),
        "seed": task.seed,
        "augmentation": task.augmentation,
        "images": sorted(images),
        "replaces": task.replaces,
        "shared_names": [task.shared_names, task.qualifier],
    }
    first = f"{task.name}-{digest_of(canonical_json(content))[:CONTENT_DIGITS]}"
    return numbered(first, generation)


def numbered(first: str, generation: int) -> str:
    """Return the id of a generation of the content whose first one is called `first`."""
    return first if generation == 1 else f"{first}-{generation}"


def find_generation(store: ObjectStore, first: str, *, reusable: Reusable) -> Generation:
    """Return the stored generation that does what is asked for, or the next one to write.

    Raises:
        CorruptionError: a stored generation is damaged.
    """
    generation = 1
    while True:
        submission_id = numbered(first, generation)
        stored = find_submission(store, submission_id)
        if stored is None or reusable(submission_id):
            return Generation(submission_id=submission_id, generation=generation, stored=stored)
        generation += 1


def write(
    store: ObjectStore, submission: Submission, first: str, *, reusable: Reusable
) -> tuple[Submission, bool]:
    """Write a submission as the next generation of its content; of several writers one wins.

    Args:
        store: The object store.
        submission: Complete but for its id and generation.
        first: The id of the content's first generation.
        reusable: See `find_generation`.

    Returns:
        The submission that is stored now, and whether this call wrote it.
    """
    while True:
        found = find_generation(store, first, reusable=reusable)
        if found.stored is not None:
            return found.stored, False
        numbered = replace(
            submission, submission_id=found.submission_id, generation=found.generation
        )
        try:
            store.create(numbered.key, numbered.to_bytes())
        except ConflictError:
            continue  # somebody wrote this generation since it was looked for: look again
        return numbered, True


def check_fits(submission: Submission) -> None:
    """Raise InputError where `submission` is larger than a conditional write may be."""
    size, images = len(submission.to_bytes()), sum(len(shard.labels) for shard in submission.shards)
    if size > MAX_CONDITIONAL_BYTES:
        raise InputError(
            f"task {submission.task!r} has {counted(images, 'image')}; a submission holds about "
            f"{images * MAX_CONDITIONAL_BYTES // size}: divide its classes among several tasks",
            task=submission.task,
            images=images,
        )
