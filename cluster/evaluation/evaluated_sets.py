"""Test sets for evaluation: test images of submissions, and image sets of any kind."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from adapters.contract.class_entry import ClassEntry
from adapters.errors import NotFoundError
from adapters.towers.image_tower import ImageTower
from cluster.config import home
from cluster.evaluation.measuring import TestSource
from cluster.stores.open import open_store
from harness.evaluation import Column
from harness.labelled import Labelled
from harness.measured_set import Embedding, class_of_set
from workers.encoding.encoder import Encoder
from workers.encoding.task_features import class_id, task_of
from workers.images.views import Views
from workers.learning.evaluation import TaskTestSet, read_test_image
from workers.progress_callbacks import ProgressCallback
from workers.sources import ImageRef, Survey, read_source
from workers.store.base import ObjectStore
from workers.tasks.submission import Submission


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluatedSet:
    """One column of the matrix.

    Attributes:
        column: What is said of it.
        test_set: Its features.
        image: Returns the file of the image at a place; None where it has been removed.
        survey: What else its source holds.
    """

    column: Column
    test_set: TaskTestSet
    image: Callable[[int], bytes | None]
    survey: Survey = field(default_factory=Survey)


def of_submission(
    store: ObjectStore, submission: Submission, features: TaskTestSet, *, title: str
) -> EvaluatedSet:
    """Return the test images of `submission` as a column called `title`."""

    def image(place: int) -> bytes | None:
        try:
            return read_test_image(store, submission, place)
        except NotFoundError:
            return None

    return EvaluatedSet(
        column=Column(
            name=title,
            source=submission.submission_id,
            images=len(features.labels),
            classes=len(features.classes),
            settings=submission.settings,
            seed=submission.seed,
        ),
        test_set=features,
        image=image,
    )


def of_source(
    name: str,
    source: str,
    *,
    title: str,
    known: Mapping[str, ClassEntry],
    encoder: Encoder,
    progress: ProgressCallback,
) -> tuple[EvaluatedSet, TestSource]:
    """Return the images at `source` as a column called `title`, and its features under any tower.

    They are embedded once per tower.

    Args:
        name: Of the set.
        source: A folder of classes, a list or tars, here or in an object store.
        title: Of the column.
        known: Classes by id. Where `name` and a class's key make one of these ids, it is that
            class; else it is one of the set's own.
        encoder: Embeds them.
        progress: Told how many images have been embedded, and of how many.

    Raises:
        NotFoundError: nothing is there.
        SettingsError: what is there cannot be read.
        ImageError: a file is no image.
    """
    opened = read_source(source, opener=open_store, named=f"--set {name}")
    by_class = opened.images
    classes = tuple(
        known.get(class_id(name, key))
        or class_of_set(name, key, name=opened.names.get(key, key.replace("_", " ")))
        for key in by_class
    )
    refs = [ref for images in by_class.values() for ref in images]
    labels = [label for label, images in enumerate(by_class.values()) for _ in images]
    if not refs:
        raise NotFoundError(f"expected images of classes at {source} (--set {name}), found none")
    # What is in the images names them, so that features of other images are never taken for theirs.
    listed = [
        Labelled(name=_digest(ref), label=label, read=ref.read, origin=ref.origin)
        for ref, label in zip(refs, labels, strict=True)
    ]

    def under(tower: ImageTower) -> TaskTestSet:
        embedding = Embedding(encoder, cache=home() / "features", image_tower=tower)
        return TaskTestSet(
            name=name,
            classes=classes,
            features=embedding.features(f"set-{name}", listed, Views(), progress)[:, 0],
            labels=torch.tensor(labels),
            fingerprint=tower.fingerprint,
        )

    found = EvaluatedSet(
        column=Column(
            name=title,
            source=source,
            images=len(refs),
            classes=len(classes),
            settings={},
            seed=None,
        ),
        test_set=under(encoder.image_tower),
        image=lambda place: refs[place].read(),
        survey=opened.survey,
    )
    return found, under


def remarks_on(found: EvaluatedSet, known: Mapping[str, ClassEntry]) -> list[str]:
    """Return what people should know of a set: what was passed over, and classes of no task."""
    name, classes = found.test_set.name, found.test_set.classes
    remarks = [f"the set {name}: {found.survey}"] if str(found.survey) else []
    tasks = {task_of(entry) for entry in known.values()}
    others = [entry.class_id for entry in classes if entry.class_id not in known]
    if name in tasks and others:
        remarks.append(
            f"classes of the set {name} that are not of the task {name} take part as classes of "
            f"their own: {len(others)} of {len(classes)}, such as {others[0]}"
        )
    return remarks


def _digest(ref: ImageRef) -> str:
    return hashlib.sha256(ref.read()).hexdigest()
