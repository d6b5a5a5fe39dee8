"""Tasks of random records and test features, published by the publisher itself without learning."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.records import Record, encode_record
from tests.support.fakes.random_records import random_record
from workers.encoding.blocks import block_key
from workers.encoding.encoder import Encoder
from workers.encoding.features import write_block
from workers.learning.crew import Assignment, Publication
from workers.learning.gate import Gate
from workers.learning.handover import hand_over, handover_key
from workers.learning.publisher import Publisher
from workers.registry import AddRecord, Author, Commit, Inline, Registry, TaskAccuracy
from workers.store import ObjectStore
from workers.tasks.submission import Shard, Submission, SubmittedClass

OWNER = "tests"


@dataclass(frozen=True, kw_only=True)
class RandomTask:
    """A task that nobody has learnt: its record is drawn, and its test features around that.

    Attributes:
        submission: With one shard of test images.
        record: Of LADA.
        features: (N, D), of the test images.
    """

    submission: Submission
    record: Record
    features: Tensor

    def store_features(self, store: ObjectStore) -> None:
        """Store the submission and the features, as a shard encoder does."""
        (shard,) = self.submission.shards
        store.put(self.submission.key, self.submission.to_bytes())
        write_block(store, block_key(self.record.encoder, "1", shard), self.features[:, None])

    def commit(self, store: ObjectStore, accuracies: tuple[TaskAccuracy, ...] = ()) -> None:
        """Make it a version in the registry, of which `accuracies` are said to be measured."""
        added = AddRecord(
            task=self.submission.task,
            submission=self.submission.submission_id,
            record=Inline(encode_record(self.record)),
            classes=len(self.record.classes),
        )
        commit = Commit(
            updates=(added,),
            encoder=self.record.encoder,
            method="lada",
            settings={},
            accuracies=accuracies,
        )
        Registry(store).create("main").commit(commit, by=Author(who="tests", why="", now=1.0))


def random_task(
    task: str,
    encoder: Encoder,
    *,
    classes: int = 3,
    vectors: int = 2,
    images: int = 4,
    seed: int = 0,
    replaces: str | None = None,
) -> RandomTask:
    """Return a task of `images` test images per class."""
    drawn = int.from_bytes(hashlib.sha256(f"{task} {seed}".encode()).digest()[:4], "little")
    record = random_record(
        task,
        encoder=encoder.fingerprint,
        width=encoder.width,
        classes=classes,
        vectors=vectors,
        seed=drawn,
        noun="thing",
    )
    labels = torch.arange(classes).repeat_interleave(images)
    generator = torch.Generator().manual_seed(drawn + 1)
    noise = torch.randn(len(labels), encoder.width, generator=generator) / encoder.width**0.5
    # As far away as other classes are, so that answers are neither all right nor all wrong.
    features = normalize(record.tensors["text_features"][labels] + 10 * noise, dim=-1)
    shard = Shard(
        digest=hashlib.sha256(features.numpy().data).hexdigest(),
        size=1,
        split="held_out",
        labels=tuple(labels.tolist()),
        image_digests=tuple(f"{index:064x}" for index in range(len(labels))),
    )
    submission = Submission(
        submission_id=f"{task}-{drawn:012x}",
        task=task,
        adapter="main",
        classes=tuple(
            SubmittedClass(key=str(index), name=f"thing {index}") for index in range(classes)
        ),
        prompt="{}",
        shards=(shard,),
        accepted_at=1.0,
        author="anna",
        replaces=replaces,
    )
    return RandomTask(submission=submission, record=record, features=features)


def publish(publisher: Publisher, store: ObjectStore, task: RandomTask) -> Publication:
    """Publish a task whose features are stored, as the coordinator has it done."""
    assignment = begun(publisher, store, task)
    return publisher.publish(assignment, now=2.0)


def begun(publisher: Publisher, store: ObjectStore, task: RandomTask) -> Assignment:
    """Hand the record of `task` over, and return what is to be published."""
    started = publisher.begin(task.submission, owner=OWNER, since=None)
    key = handover_key(task.submission.submission_id, started.parent, "record")
    hand_over(store, key, encode_record(task.record))
    return Assignment(
        submission=task.submission,
        method="lada",
        encoder=started.encoder,
        gate=Gate(),
        parent=started.parent,
        epoch=started.epoch,
    )


def merged(task: RandomTask, pairs: Sequence[tuple[int, str]]) -> RandomTask:
    """Return `task` with classes, by their numbers, that count as those of the ids beside."""
    into = dict(pairs)
    classes = tuple(
        replace(entry, merged_into=into.get(number))
        for number, entry in enumerate(task.record.classes)
    )
    keys = {str(number): name for number, name in pairs}
    return replace(
        task,
        record=replace(task.record, classes=classes),
        submission=replace(task.submission, merges=keys),
    )
