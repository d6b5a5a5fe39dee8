"""Estimate of what submitting a task takes: bytes that are known, seconds from measured rates."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from adapters.contract.counts import agreeing, counted
from workers.inspection.embedding import Embedded
from workers.queue.journal import JournalEntry, read_journal
from workers.queue.ticket import Stage
from workers.registry import Manifest
from workers.store.base import ObjectStore
from workers.tasks.submission import Shard, Submission

LATEST = 5
"""So many of the tasks that were learnt last are looked at."""
SAID: Mapping[Stage, str] = {
    Stage.ENCODING: "embedding",
    Stage.TRAINING: "training",
    Stage.COMPRESSING: "fitting mixtures",
    Stage.CHECKING: "measuring and publishing",
}
LEARNT = (Stage.TRAINING, Stage.COMPRESSING, Stage.CHECKING)


@dataclass(frozen=True, kw_only=True, slots=True)
class EstimatedStage:
    """How long one stage of a submission will take.

    Attributes:
        stage: Which.
        seconds: How long; None where nobody can say.
        basis: What that was made of.
    """

    stage: str
    seconds: float | None
    basis: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """What a submission takes.

    Attributes:
        shard_bytes: Of its images in the store, packed.
        feature_bytes: Of its features there; None where they have not been made.
        stages: Its stages in their order; waiting for other tasks is none of them.
    """

    shard_bytes: int
    feature_bytes: int | None
    stages: tuple[EstimatedStage, ...]


def estimate(
    store: ObjectStore,
    *,
    shards: Sequence[Shard],
    read_s: float,
    found: Embedded | None,
    head: Manifest | None,
    submissions: Sequence[Submission],
) -> Estimate:
    """Return what a submission takes.

    Args:
        store: Has what was written down of earlier tasks.
        shards: Its images, packed.
        read_s: Seconds that reading all of them took just now.
        found: Its features; None where they were not made.
        head: The version that it would be learnt on.
        submissions: Of the adapter's tasks.
    """
    images = sum(len(shard.labels) for shard in shards)
    names = {task.submission for task in head.tasks} if head else set()
    learnt = [each for each in submissions if each.submission_id in names]
    stages = (
        EstimatedStage(
            stage="taking in",
            seconds=round(2 * read_s, 1),
            basis=f"reading {counted(images, 'image')} took {read_s:.1f} s just now, and is done "
            "twice",
        ),
        *([_encoding(found)] if found else []),
        *_earlier(LEARNT if found else tuple(SAID), store, learnt, images),
    )
    return Estimate(
        shard_bytes=sum(shard.size for shard in shards),
        feature_bytes=found.size_bytes if found else None,
        stages=stages,
    )


def _encoding(found: Embedded) -> EstimatedStage:
    rate = f" (at {found.made / found.seconds:.0f} images a second)" if found.made else ""
    return EstimatedStage(
        stage=SAID[Stage.ENCODING],
        seconds=0.0,
        basis=f"{counted(found.made, 'image')} {agreeing(found.made, 'was')} embedded just now"
        f"{rate}, and their features are found again",
    )


def _earlier(
    stages: Sequence[Stage], store: ObjectStore, learnt: Sequence[Submission], images: int
) -> Iterator[EstimatedStage]:
    """Yield how long stages take, from those of the tasks that were learnt last."""
    latest = sorted(learnt, key=lambda each: -each.accepted_at)[:LATEST]
    took = [(each, _took(list(read_journal(store, each.submission_id)))) for each in latest]
    for stage in stages:
        rates = [
            seconds[stage] / (each.images("train") + each.images("held_out"))
            for each, seconds in took
            if stage in seconds
        ]
        last = f"the last {len(rates)} tasks" if len(rates) > 1 else "the last task"
        yield EstimatedStage(
            stage=SAID[stage],
            seconds=round(median(rates) * images, 1) if rates else None,
            basis=f"as long per image as in {last} of the adapter"
            if rates
            else "no task of the adapter was learnt here yet",
        )


def _took(entries: Sequence[JournalEntry]) -> dict[Stage, float]:
    """Return how long each stage had taken when it ended, the last time."""
    return {
        Stage(before.stage): after.took_s
        for before, after in pairwise(entries)
        if after.took_s is not None
    }
