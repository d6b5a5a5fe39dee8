"""Inspecting a task: everything that is known of it before anything is learnt, in one report.

    reading      every image once, with the checks of a submission; nothing is stored
    embedding    shard by shard, into the features that the submission will find
    looking      duplicates, suspicious labels, outliers, names that other tasks have

Without an encoder the second step is left out, and of the third what needs features.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from adapters.errors import ImageError, InputError, NacreError, UnavailableError
from workers.encoding.encoder import Encoder
from workers.inspection.duplicates import exact_duplicates, near_duplicates
from workers.inspection.embedding import Embedded, embedded
from workers.inspection.estimate import Estimate, estimate
from workers.inspection.findings import (
    ClassCount,
    ExactDuplicates,
    Listed,
    NearDuplicates,
    Outlier,
    SharedClass,
    SuspiciousLabel,
)
from workers.inspection.labels import suspicious_labels
from workers.inspection.outliers import outliers
from workers.inspection.shared_names import shared_classes
from workers.intake.accept import Admission
from workers.intake.checks import check_images
from workers.intake.counts import SourceCount
from workers.intake.identity import check_fits
from workers.intake.intake import Examined, draft_of, examine
from workers.intake.naming import CutPrompts
from workers.intake.reading import Sample, Unreadable, count_images, read_images
from workers.progress_callbacks import StepCallback, unreported
from workers.sources import ImageRef
from workers.store.base import ObjectStore
from workers.tasks.submission import Learning, Split
from workers.tasks.task import Task

SHOWN = 24
"""So many findings of each kind are shown, unless somebody asks for more."""
MOST_CLASSES = 1000
_NOTHING_WAS_READ = (0, 0)


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a task is, and what may be wrong with it.

    Attributes:
        task: The task.
        refusals: Why it would not be accepted as it is; none where it would.
        submitted: The submission that does already what is asked for; None where there is none.
        images: How many images each split would have.
        drawn: Whether the test images would be drawn from the training images.
        classes: What each class has, in the order of the class indices.
        sources: What became of everything in each source.
        unreadable: Sentences on images that cannot be used.
        cut: Prompts of which the encoder does not read the end.
        exact: Files with the same bytes.
        near: Pairs of files that show one picture.
        suspicious: Images that look like those of another class; None without features.
        outliers: Images that are far from all others; None without features.
        embedded: The features; None without.
        shared: Classes whose names other tasks have.
        elsewhere: How many of its images each other task of the adapter has, of those that have.
        estimate: What submitting it takes.
        file: Reads the file of an image that is named here, by its digest; None where it is gone.
    """

    task: Task
    refusals: tuple[NacreError, ...]
    submitted: str | None
    images: Mapping[Split, int]
    drawn: bool
    classes: Listed[ClassCount]
    sources: Mapping[Split, SourceCount]
    unreadable: Listed[str]
    cut: Listed[str]
    exact: Listed[ExactDuplicates]
    near: Listed[NearDuplicates]
    suspicious: Listed[SuspiciousLabel] | None
    outliers: Listed[Outlier] | None
    embedded: Embedded | None
    shared: Listed[SharedClass]
    elsewhere: Mapping[str, int]
    estimate: Estimate
    file: Callable[[str], bytes | None] = field(repr=False)


def inspect(
    admission: Admission,
    *,
    encoder: Encoder | None = None,
    cut: CutPrompts | None = None,
    shown: int = SHOWN,
    on_step: StepCallback = unreported,
) -> Inspection:
    """Return what is known of a task; nothing is submitted, and no image is stored.

    Args:
        admission: Of the task: what decides whether it may be submitted.
        encoder: Makes the features; None leaves out what needs them.
        cut: Knows the prompts of which the encoder does not read the end.
        shown: So many findings of each kind are shown; all are counted.
        on_step: Called with what is being done, units of it done and units in all.

    Raises:
        UnavailableError: the store cannot be reached.
    """
    task, around = admission.task, admission.around
    store, keys = around.store, tuple(task.classes)
    begun = time.monotonic()
    read = _read(task, on_step)
    read_s = time.monotonic() - begun
    readable = [each for each in read if isinstance(each, Sample)]
    unreadable = [each for each in read if isinstance(each, Unreadable)]
    waits: list[NacreError] = []
    found = examine(
        task,
        store,
        check_images(task, read),
        known=admission.known(cut),
        reusable=around.still_counts,
        admit=partial(_admitted, admission, waits),
    )
    features = _embedded(task, found, store, encoder, on_step) if encoder else None
    samples = [sample for _, group in found.planned for sample in group]
    seen = _Seen.of(features, keys, shown=shown, on_step=on_step) if features else _Seen()
    shared, theirs = shared_classes(
        found.naming.shared, samples, around.submissions, store, keys, most=shown
    )
    return Inspection(
        task=task,
        refusals=(*found.findings, *_too_large(task, found, admission), *waits),
        submitted=found.before.submission_id if found.before else None,
        images=_images(found),
        drawn=not task.held_out,
        classes=Listed.of(
            _classes(task, samples, readable, unreadable), count=len(keys), most=MOST_CLASSES
        ),
        sources=found.checked.counts,
        unreadable=Listed.of(
            (each.problem for each in unreadable), count=len(unreadable), most=shown
        ),
        cut=Listed.of(found.naming.cut, count=len(found.naming.cut), most=shown),
        exact=exact_duplicates(readable, keys, most=shown),
        near=near_duplicates(
            samples,
            features.features if features else None,
            keys,
            most=shown,
            on_progress=partial(on_step, "comparing pictures"),
        ),
        suspicious=seen.suspicious,
        outliers=seen.outliers,
        embedded=features,
        shared=shared,
        elsewhere=around.with_images(frozenset(each.digest for each in samples), but_of=task),
        estimate=estimate(
            store,
            shards=[shard for shard, _ in found.planned],
            read_s=read_s,
            found=features,
            head=around.head,
            submissions=around.submissions,
        ),
        file=_Files(readable, theirs),
    )


def _read(task: Task, on_step: StepCallback) -> list[Sample | Unreadable]:
    total, read = count_images(task), []
    for image in read_images(task, signed=True):
        read.append(image)
        on_step("reading", len(read), total)
    return read


def _admitted(admission: Admission, waits: list[NacreError], size_bytes: int) -> Learning | None:
    """Return by what the task is learnt; note why it would have to wait, which is no finding."""
    try:
        return admission.check(size_bytes)
    except InputError:
        raise
    except UnavailableError as error:
        waits.append(error)
        return admission.learning


def _embedded(
    task: Task, found: Examined, store: ObjectStore, encoder: Encoder, on_step: StepCallback
) -> Embedded:
    return embedded(
        task,
        found.planned,
        store,
        encoder,
        learning=found.learning,
        on_progress=partial(on_step, "embedding"),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Seen:
    """What features show."""

    suspicious: Listed[SuspiciousLabel] | None = None
    outliers: Listed[Outlier] | None = None

    @classmethod
    def of(
        cls, found: Embedded, keys: Sequence[str], *, shown: int, on_step: StepCallback
    ) -> "_Seen":
        """Look through features."""
        samples, features = found.samples, found.features
        return cls(
            suspicious=suspicious_labels(
                samples,
                features,
                keys,
                most=shown,
                on_progress=partial(on_step, "doubting labels"),
            ),
            outliers=outliers(samples, features, keys, most=shown),
        )


def _too_large(task: Task, found: Examined, admission: Admission) -> list[InputError]:
    if found.findings or found.before:
        return []
    try:
        check_fits(draft_of(task, found, author=admission.author, now=time.time()))
    except InputError as error:
        return [error]
    return []


def _images(found: Examined) -> dict[Split, int]:
    images: dict[Split, int] = {"train": 0, "held_out": 0}
    for shard, group in found.planned:
        images[shard.split] += len(group)
    return images


def _classes(
    task: Task,
    samples: Sequence[Sample],
    readable: Sequence[Sample],
    unreadable: Sequence[Unreadable],
) -> list[ClassCount]:
    counted = Counter((each.label, each.split) for each in samples)
    used = Counter(each.label for each in samples)
    all_of = Counter(each.label for each in readable)
    bad = Counter(each.label for each in unreadable)
    sizes, sides = Counter[int](), defaultdict[int, list[int]](list)
    for each in samples:
        sizes[each.label] += each.size
        if each.signature:
            sides[each.label] += [each.signature.width, each.signature.height]
    return [
        ClassCount(
            key=key,
            name=name,
            train=counted[label, "train"],
            held_out=counted[label, "held_out"],
            unreadable=bad[label],
            copies=all_of[label] - used[label],
            size_bytes=sizes[label],
            sides=(min(sides[label]), max(sides[label])) if sides[label] else _NOTHING_WAS_READ,
        )
        for label, (key, name) in enumerate(task.classes.items())
    ]


class _Files:
    """Reads image files by their digests."""

    # Owns: nothing that changes.

    def __init__(self, samples: Sequence[Sample], others: Mapping[str, bytes]) -> None:
        self._refs: dict[str, ImageRef] = {each.digest: each.ref for each in samples}
        self._others = others

    def __call__(self, digest: str) -> bytes | None:
        ref = self._refs.get(digest)
        if ref is None:
            return self._others.get(digest)
        try:
            return ref.read()
        except ImageError:  # it has been removed since
            return None
