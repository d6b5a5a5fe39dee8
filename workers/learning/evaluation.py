"""Evaluation: accuracy of a version on the test features of tasks, learnt or not yet.

Shapes: N test images · D feature width · T tasks
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from adapters.adapter import Adapter, Scores, UnseenClasses
from adapters.contract.class_entry import ClassEntry
from adapters.contract.class_names import comparable_name
from adapters.mistakes import SetAnswers
from adapters.reliability import Reliability, reliability
from adapters.uncertainty import Interval, wilson_interval
from workers.encoding.encoder import Encoder
from workers.encoding.features import read_split
from workers.encoding.task_features import class_entries
from workers.store.base import ObjectStore
from workers.store.blobs import BlobRef, get_blob
from workers.store.patience import AT_ONCE, Patience
from workers.tasks.shards import unpack_shard
from workers.tasks.submission import SHARDS, Submission


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskTestSet:
    """The test images of one task, or of any set of images.

    Attributes:
        name: Of the task or the set.
        classes: Its classes.
        features: (N, D) float32, unit rows, or (N, P, D) along the paths of a tower.
        labels: (N,) int64, index into `classes`.
        fingerprint: Of the tower that made them.
    """

    name: str
    classes: tuple[ClassEntry, ...]
    features: Tensor
    labels: Tensor
    fingerprint: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the features, in hexadecimal, and of their shape."""
        rows = self.features.detach().cpu().contiguous()
        found = hashlib.sha256(f"{rows.dtype} {tuple(rows.shape)}".encode())
        found.update(rows.numpy().data)
        return found.hexdigest()

    @property
    def truth(self) -> list[ClassEntry]:
        """The class of each image."""
        return [self.classes[label] for label in self.labels.tolist()]


def task_test_set(
    store: ObjectStore,
    submission: Submission,
    *,
    fingerprint: str,
    patience: Patience = AT_ONCE,
) -> TaskTestSet:
    """Return the test features of `submission` under one tower, from their stored blocks.

    Args:
        store: The object store.
        submission: The task.
        fingerprint: Of the tower.
        patience: How long they are asked for, where they should have been made.

    Raises:
        NotFoundError: a shard has not been embedded yet.
    """
    features, labels = read_split(
        store, submission, "held_out", fingerprint=fingerprint, views="1", patience=patience
    )
    return TaskTestSet(
        name=submission.task,
        classes=class_entries(submission),
        features=features[:, 0],
        labels=labels,
        fingerprint=fingerprint,
    )


def read_test_image(store: ObjectStore, submission: Submission, place: int) -> bytes:
    """Return the file of the test image of `submission` at `place`.

    Raises:
        NotFoundError: it has been removed; features outlive images.
    """
    for shard in submission.of_split("held_out"):
        if place < len(shard.labels):
            ref = BlobRef(sha256=shard.digest, size=shard.size)
            return unpack_shard(get_blob(store, ref, prefix=SHARDS))[place]
        place -= len(shard.labels)
    raise IndexError(f"{submission.submission_id} has no test image at {place}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Predicted:
    """What is answered about the images of one set.

    Attributes:
        classes: N, the predicted class of each image.
        confidences: N, their probabilities among the candidates, from 0 to 1.
        losses: N, the squared distance between the probabilities of all candidates and the truth,
            0 to 2; none where nobody wants them.
    """

    classes: tuple[ClassEntry, ...] = ()
    confidences: tuple[float, ...] = ()
    losses: tuple[float, ...] = ()

    @classmethod
    def of(cls, scores: Scores, truth: Sequence[ClassEntry] = ()) -> "Predicted":
        """Return the best candidate of each image.

        Args:
            scores: Of N images.
            truth: The class of each, one of the candidates; nothing where losses are not wanted.
        """
        return cls(
            classes=tuple(scores.classes[column] for column in scores.winners.tolist()),
            confidences=tuple(scores.confidences.tolist()),
            losses=_losses(scores, truth) if truth else (),
        )

    def about(self, truth: Sequence[ClassEntry]) -> SetAnswers:
        """Return the answers beside the classes that the images have."""
        return SetAnswers(
            truth=tuple(entry.counts_as for entry in truth),
            answers=tuple(entry.counts_as for entry in self.classes),
            confidences=self.confidences,
        )


def _losses(scores: Scores, truth: Sequence[ClassEntry]) -> tuple[float, ...]:
    columns = {entry.counts_as: column for column, entry in enumerate(scores.classes)}
    own = torch.tensor([columns[entry.counts_as] for entry in truth])
    probabilities = scores.probabilities.cpu()
    of_truth = probabilities.gather(1, own[:, None])[:, 0]
    return tuple((probabilities.square().sum(dim=1) - 2 * of_truth + 1).tolist())


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """What is answered about the images of several sets.

    Attributes:
        sets: Of each set.
        candidates: Among how many classes; those that count as one are one.
    """

    sets: tuple[Predicted, ...]
    candidates: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedAnswers:
    """What `predict` answers about the images of several sets, where nothing else is asked for.

    Attributes:
        sets: Of each set; None of one with classes that are not learnt.
        candidates: How many classes are learnt; those that count as one are one.
    """

    sets: tuple[Predicted | None, ...]
    candidates: int

    def reliability(self, truths: Sequence[Sequence[ClassEntry]]) -> Reliability | None:
        """Return how far these answers can be believed, over the images of all sets.

        Args:
            truths: The classes of the images of each set.
        """
        known = [(of, true) for of, true in zip(self.sets, truths, strict=True) if of is not None]
        pairs = [pair for of, true in known for pair in zip(of.classes, true, strict=True)]
        return reliability(
            [sure for of, _ in known for sure in of.confidences],
            [answer.counts_as == true.counts_as for answer, true in pairs],
            [loss for of, _ in known for loss in of.losses],
        )


class MeasuredAccuracy(NamedTuple):
    """How many images of a task were answered right.

    Attributes:
        accuracy: Where the class itself is predicted, or one that counts as it, 0 to 1.
        alike: The same where a class of the same name counts as right, whatever its task: nobody
            can tell `pizza` from `pizza`.
        images: How many there are.
    """

    accuracy: float
    alike: float
    images: int

    @property
    def interval(self) -> Interval:
        """The 95 % confidence interval of the accuracy."""
        return wilson_interval(round(self.accuracy * self.images), self.images)


def accuracies(
    adapter: Adapter | None, tasks: Sequence[TaskTestSet], encoder: Encoder
) -> Mapping[str, float]:
    """Return the accuracy on every task that has images; see `answers`."""
    return {
        task.name: accuracy_of(predicted.classes, task.truth).accuracy
        for task, predicted in zip(tasks, answers(adapter, tasks, encoder).sets, strict=True)
        if len(task.labels)
    }


def answers(
    adapter: Adapter | None,
    tasks: Sequence[TaskTestSet],
    encoder: Encoder,
    *,
    with_losses: bool = False,
) -> Answers:
    """Return what is answered about every image of every task.

    The candidates are the classes of all tasks. What `adapter` has not learnt takes part zero-shot,
    so that a task may be measured before it is learnt; classes that count as a learnt one are that
    one, and one that several tasks have is one.

    Args:
        adapter: What has been learnt; None for nothing.
        tasks: The tasks to measure, with features of the adapter's tower.
        encoder: Embeds the prompts of what has not been learnt.
        with_losses: Whether `Predicted.losses` are wanted, at the cost of a softmax over all.
    """
    learnt = [entry for record in adapter.records for entry in record.classes] if adapter else []
    known = {entry.class_id for entry in learnt} | {entry.counts_as for entry in learnt}
    unseen: dict[str, ClassEntry] = {}
    for entry in (entry for task in tasks for entry in task.classes):
        if entry.class_id not in known and entry.counts_as not in known:
            unseen.setdefault(entry.class_id, entry)
    further = None
    if unseen:
        text = encoder.text_features([entry.prompt for entry in unseen.values()])
        further = UnseenClasses(classes=tuple(unseen.values()), text_features=text)
    return Answers(
        sets=tuple(
            _predicted(adapter, task, further, encoder, with_losses=with_losses)
            if len(task.labels)
            else Predicted()
            for task in tasks
        ),
        candidates=len({entry.counts_as for entry in (*learnt, *unseen.values())}),
    )


def served_answers(
    adapter: Adapter, tasks: Sequence[TaskTestSet], encoder: Encoder, *, among_all: Answers
) -> ServedAnswers:
    """Return what is answered among the learnt classes, which are the candidates of a request.

    Args:
        adapter: What has been learnt.
        tasks: The tasks to measure, with features of the adapter's tower.
        encoder: Of the features.
        among_all: The same among the classes of all tasks, with losses; where these are the learnt
            ones, nothing is scored again.
    """
    learnt = {entry.counts_as for record in adapter.records for entry in record.classes}
    is_all = among_all.candidates == len(learnt)

    def of(task: TaskTestSet, known: Predicted) -> Predicted | None:
        if not len(task.labels) or any(one.counts_as not in learnt for one in task.classes):
            return None
        return known if is_all else _predicted(adapter, task, None, encoder, with_losses=True)

    pairs = zip(tasks, among_all.sets, strict=True)
    return ServedAnswers(sets=tuple(of(*pair) for pair in pairs), candidates=len(learnt))


def _predicted(
    adapter: Adapter | None,
    task: TaskTestSet,
    unseen: UnseenClasses | None,
    encoder: Encoder,
    *,
    with_losses: bool,
) -> Predicted:
    scale = encoder.logit_scale
    if adapter is not None:
        scores = adapter.score(
            task.features, encoder=task.fingerprint, logit_scale=scale, unseen=unseen
        )
        return Predicted.of(scores, task.truth if with_losses else ())
    if unseen is None:
        return Predicted()
    return nearest_by_text(task.features, unseen, logit_scale=scale)


def nearest_by_text(features: Tensor, classes: UnseenClasses, *, logit_scale: float) -> Predicted:
    """Return the class of `classes` that each of (N, D) unit features is nearest to by text."""
    cosines = features @ classes.anchors.rows.t()
    columns = cosines.argmax(dim=1)
    sure = (logit_scale * cosines).softmax(dim=1).gather(1, columns[:, None])[:, 0]
    return Predicted(
        classes=tuple(classes.classes[column] for column in columns.tolist()),
        confidences=tuple(sure.tolist()),
    )


def accuracy_of(predicted: Sequence[ClassEntry], truth: Sequence[ClassEntry]) -> MeasuredAccuracy:
    """Return how many images were answered right; at least one."""
    pairs = list(zip(predicted, truth, strict=True))
    same = sum(found.counts_as == true.counts_as for found, true in pairs)
    alike = sum(
        found.counts_as == true.counts_as
        or comparable_name(found.name) == comparable_name(true.name)
        for found, true in pairs
    )
    return MeasuredAccuracy(same / len(pairs), alike / len(pairs), len(pairs))
