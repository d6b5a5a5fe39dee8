"""Accuracy of a version on the held-out features of tasks, learnt or not yet.

Shapes: N held-out images · D feature width · T tasks
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from adapters.inference import Adapter, UnseenClasses
from adapters.names import comparable_name
from adapters.records import ClassEntry
from workers.encoder import Encoder
from workers.features import read_split
from workers.store.base import ObjectStore
from workers.submission import Submission
from workers.task_features import class_entries


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HeldOut:
    """The held-out images of one task.

    Attributes:
        task: Its name.
        classes: Its classes.
        features: (N, D) float32, unit rows.
        labels: (N,) int64, index into `classes`.
    """

    task: str
    classes: tuple[ClassEntry, ...]
    features: Tensor
    labels: Tensor


def held_out(store: ObjectStore, submission: Submission, *, fingerprint: str) -> HeldOut:
    """Return the held-out features of `submission` from its stored blocks.

    Raises:
        NotFoundError: a shard has not been embedded yet.
    """
    features, labels = read_split(store, submission, "held_out", fingerprint=fingerprint, views="1")
    return HeldOut(
        task=submission.task,
        classes=class_entries(submission),
        features=features[:, 0],
        labels=labels,
    )


class Share(NamedTuple):
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


def accuracies(
    adapter: Adapter | None, tasks: Sequence[HeldOut], encoder: Encoder
) -> Mapping[str, float]:
    """Return the accuracy on every task; see `shares`."""
    found = shares(adapter, tasks, encoder)
    return {task: share.accuracy for task, share in found.items()}


def shares(
    adapter: Adapter | None, tasks: Sequence[HeldOut], encoder: Encoder
) -> Mapping[str, Share]:
    """Return what is right of every task, the candidates being the classes of all of them.

    Classes that `adapter` has not learnt take part zero-shot, so that a task may be measured before
    it is learnt; those that count as a learnt one are that one. Of classes that count as one,
    either is right. Tasks without held-out images are left out.

    Args:
        adapter: What has been learnt; None for nothing.
        tasks: The tasks to measure.
        encoder: Embeds the prompts of what has not been learnt.
    """
    records = adapter.records if adapter else ()
    learnt = {record.task for record in records}
    known = {entry.counts_as for record in records for entry in record.classes}
    unseen = [
        entry
        for task in tasks
        if task.task not in learnt
        for entry in task.classes
        if entry.counts_as not in known
    ]
    text = encoder.text_features([entry.prompt for entry in unseen])
    further = UnseenClasses(classes=tuple(unseen), text_features=text) if unseen else None
    return {
        task.task: _share(_predicted(adapter, task.features, further, encoder), task)
        for task in tasks
        if len(task.labels)
    }


def _predicted(
    adapter: Adapter | None, features: Tensor, unseen: UnseenClasses | None, encoder: Encoder
) -> tuple[ClassEntry, ...]:
    if adapter is not None:
        return adapter.predict(
            features, encoder=encoder.fingerprint, logit_scale=encoder.logit_scale, unseen=unseen
        )
    if unseen is None:
        return ()
    return nearest_by_text(features, unseen)


def nearest_by_text(features: Tensor, classes: UnseenClasses) -> tuple[ClassEntry, ...]:
    """Return the class of `classes` that each of (N, D) unit features is nearest to by text."""
    columns = (features @ classes.anchors.rows.t()).argmax(dim=1)
    return tuple(classes.classes[column] for column in columns.tolist())


def _share(predicted: Sequence[ClassEntry], task: HeldOut) -> Share:
    return share_of(predicted, [task.classes[label] for label in task.labels.tolist()])


def share_of(predicted: Sequence[ClassEntry], truth: Sequence[ClassEntry]) -> Share:
    """Return how many images were answered right; at least one."""
    pairs = list(zip(predicted, truth, strict=True))
    same = sum(found.counts_as == true.counts_as for found, true in pairs)
    alike = sum(
        found.counts_as == true.counts_as
        or comparable_name(found.name) == comparable_name(true.name)
        for found, true in pairs
    )
    return Share(same / len(pairs), alike / len(pairs), len(pairs))
