"""Taking a task in: check everything that can be checked, pack the images, write the submission.

Nothing is acknowledged before it is durable: the shards go up first, the submission last, and only
if nobody has written it already. What an interrupted intake leaves behind is never referenced.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.errors import ConflictError, ImageError
from workers.canonical import digest_of
from workers.images import decode_image
from workers.shards import Sample, pack_shard, split_into_shards
from workers.store.base import ObjectStore
from workers.store.blobs import put_blob
from workers.submission import (
    SHARDS,
    Shard,
    Split,
    Submission,
    SubmittedClass,
    identify,
    read_submission,
)
from workers.task import Task

HELD_OUT_SHARE = 0.1
FEWEST_TO_SET_ASIDE = 5
SHOWN_PROBLEMS = 20

Progress = Callable[[int, int], None]


def unwatched(done: int, total: int) -> None:
    """Report progress to nobody."""
    del done, total


@dataclass(frozen=True, kw_only=True, slots=True)
class Intake:
    """The result of taking a task in.

    Attributes:
        submission: What is stored.
        is_new: Whether this call stored it; otherwise the same had been submitted before.
    """

    submission: Submission
    is_new: bool


def take_in(
    task: Task,
    store: ObjectStore,
    *,
    now: float,
    author: str,
    on_progress: Progress = unwatched,
) -> Intake:
    """Check `task`, pack its images into `store`, and write its submission.

    Args:
        task: What to learn.
        store: The object store that the cluster works on.
        now: Seconds since the epoch.
        author: Who submits.
        on_progress: Called with images done and images in all.

    Raises:
        ImageError: images cannot be read; all of them are reported at once, and nothing is stored.
    """
    images, set_aside = _with_held_out(task)
    samples = _read(task, images, on_progress)
    _check_splits_differ(task, samples)
    classes = tuple(SubmittedClass(key=key, name=name) for key, name in task.classes.items())
    packed = [
        _packed(group, split)
        for split, of_split in samples.items()
        for group in split_into_shards(of_split)
    ]
    shards = tuple(shard for shard, _ in packed)
    submission_id = identify(
        task=task.name,
        adapter=task.adapter,
        classes=classes,
        prompt=task.prompt,
        settings=task.settings,
        seed=task.seed,
        augmentation=task.augmentation,
        shards=shards,
    )
    submission = Submission(
        submission_id=submission_id,
        task=task.name,
        adapter=task.adapter,
        classes=classes,
        prompt=task.prompt,
        settings=task.settings,
        seed=task.seed,
        augmentation=task.augmentation,
        shards=shards,
        set_aside=set_aside,
        accepted_at=now,
        author=author,
    )
    return _write(store, submission, (content for _, content in packed))


def _write(store: ObjectStore, submission: Submission, contents: Iterable[bytes]) -> Intake:
    for content in contents:
        put_blob(store, content, prefix=SHARDS)
    try:
        store.create(submission.key, submission.to_bytes())
    except ConflictError:
        stored = read_submission(store, submission.submission_id)
        return Intake(submission=stored, is_new=False)
    return Intake(submission=submission, is_new=True)


def _packed(group: tuple[Sample, ...], split: Split) -> tuple[Shard, bytes]:
    content = pack_shard(group)
    shard = Shard(
        digest=digest_of(content),
        size=len(content),
        split=split,
        labels=tuple(sample.label for sample in group),
        image_digests=tuple(digest_of(sample.content) for sample in group),
    )
    return shard, content


def _with_held_out(task: Task) -> tuple[dict[Split, Mapping[str, tuple[Path, ...]]], bool]:
    """Return the images of both splits; without held-out images a tenth is set aside."""
    if task.held_out:
        return {"train": task.images, "held_out": task.held_out}, False
    train: dict[str, tuple[Path, ...]] = {}
    held_out: dict[str, tuple[Path, ...]] = {}
    for key, paths in task.images.items():
        # Seeded by class, so that one class's images do not move another's.
        drawn = _drawn(paths, random.Random(f"{task.seed}/{key}"))
        held_out[key] = tuple(path for path in paths if path in drawn)
        train[key] = tuple(path for path in paths if path not in drawn)
    return {"train": train, "held_out": held_out}, True


def _drawn(paths: Sequence[Path], draw: random.Random) -> set[Path]:
    """Return a tenth of `paths`; copies of one image are on one side, so it may be a few more."""
    copies: dict[str, list[Path]] = {}
    for path in paths:
        copies.setdefault(digest_of(_content(path)), []).append(path)
    distinct = sorted(copies.values())
    count = _held_out_count(len(distinct))
    return {path for group in draw.sample(distinct, count) for path in group}


def _held_out_count(images: int) -> int:
    return max(1, round(images * HELD_OUT_SHARE)) if images >= FEWEST_TO_SET_ASIDE else 0


def _read(
    task: Task, images: Mapping[Split, Mapping[str, tuple[Path, ...]]], on_progress: Progress
) -> dict[Split, list[Sample]]:
    total = sum(len(paths) for split in images.values() for paths in split.values())
    samples: dict[Split, list[Sample]] = {split: [] for split in images}
    problems: list[str] = []
    done = 0
    for split, by_class in images.items():
        for label, key in enumerate(task.classes):
            for path in by_class.get(key, ()):
                try:
                    samples[split].append(_sample(path, label))
                except ImageError as error:
                    problems.append(error.message)
                done += 1
                on_progress(done, total)
    if problems:
        raise ImageError(_report(task, problems, total), task=task.name, bad_images=len(problems))
    return samples


def _sample(path: Path, label: int) -> Sample:
    content = _content(path)
    decode_image(content, origin=str(path))
    return Sample(content=content, extension=path.suffix.lower(), label=label)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(
            f"the image {path} cannot be read: {error.strerror}", path=str(path)
        ) from error


def _report(task: Task, problems: list[str], total: int) -> str:
    shown = "\n  ".join(problems[:SHOWN_PROBLEMS])
    hidden = len(problems) - SHOWN_PROBLEMS
    more = f"\n  and {hidden} more" if hidden > 0 else ""
    return (
        f"{len(problems)} of the {total} images of task {task.name!r} cannot be used; repair or "
        f"remove them and submit again:\n  {shown}{more}"
    )


def _check_splits_differ(task: Task, samples: Mapping[Split, list[Sample]]) -> None:
    learnt = {digest_of(sample.content) for sample in samples["train"]}
    shared = sum(digest_of(sample.content) in learnt for sample in samples["held_out"])
    if shared:
        raise ImageError(
            f"{shared} held-out images of task {task.name!r} are also training images; remove them "
            "from one of the two, or the measured accuracy means nothing",
            task=task.name,
            shared_images=shared,
        )
