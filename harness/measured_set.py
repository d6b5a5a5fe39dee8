"""An image set embedded by an encoder: training data to learn from, test features to measure on.

Image features are embedded once and kept in a cache folder.

Shapes: N images · V views per image · D feature width
"""

import hashlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from adapters.adapter import Adapter, UnseenClasses
from adapters.contract.class_entry import ClassEntry
from adapters.contract.randomness import generator
from adapters.contract.task_features import TaskFeatures
from adapters.towers.image_side import ImageSide
from adapters.towers.image_tower import ImageTower
from adapters.towers.text_side import TextSide
from adapters.towers.text_tower import TextTower
from harness.labelled import ImageSet, Labelled, listing_digest
from harness.set_pixels import SetPixels
from harness.suite import PROMPT
from workers.encoding.encoder import Encoder
from workers.encoding.shard_encoder import by_view
from workers.encoding.task_features import class_id
from workers.images.pixels import Decoder
from workers.images.views import Views
from workers.learning.evaluation import Predicted, accuracy_of
from workers.progress_callbacks import ProgressCallback, unwatched

EMBEDDED_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MeasuredSet:
    """One image set.

    Attributes:
        task: Its training features.
        text: Its text side.
        test_features: (N, D) float32, unit rows of the images it is measured on, as the encoder's
            own tower reads them.
        test_labels: (N,) int64.
        images: Tower and training images, for methods that learn the tower; nothing where there
            are cached features alone.
        test_images: The images it is measured on, for versions that have a tower of their own.
    """

    task: TaskFeatures
    text: TextSide
    test_features: Tensor
    test_labels: Tensor
    images: ImageSide = field(default_factory=ImageSide)
    test_images: SetPixels | None = None

    @property
    def truth(self) -> list[ClassEntry]:
        """The class of each test image."""
        return [self.task.classes[label] for label in self.test_labels.tolist()]


def class_of_set(set_name: str, key: str, *, name: str) -> ClassEntry:
    """Return the class `key` of a set, whose readable name is `name`."""
    return ClassEntry(class_id=class_id(set_name, key), name=name, prompt=PROMPT.format(name))


def accuracy(adapter: Adapter, measured: MeasuredSet, unseen: UnseenClasses | None) -> float:
    """Return the accuracy on the test images, between 0 and 1."""
    return accuracies_of(predicted_by(adapter, measured, unseen).classes, measured)[0]


def read_by(adapter: Adapter, measured: MeasuredSet, *, most: int | None = None) -> Tensor:
    """Return test images as the version's tower reads them: (N, D), or (N, P, D) along paths.

    Args:
        adapter: The version.
        measured: Whose test images.
        most: How many of them; None for all.

    Raises:
        SettingsError: the version has a tower of its own, and there are cached features alone.
    """
    if adapter.fingerprint == adapter.encoder:
        return measured.test_features[:most]
    base, _ = measured.images.required(by=adapter.records[0].method)
    pixels, tower = measured.test_images, adapter.image_tower(base)
    assert pixels is not None, "whoever gives the training images gives these"
    places = range(len(pixels))[:most]
    starts = range(0, len(places), EMBEDDED_AT_ONCE)
    return torch.cat([tower.features(pixels(places[at : at + EMBEDDED_AT_ONCE])) for at in starts])


def predicted_by(
    adapter: Adapter, measured: MeasuredSet, unseen: UnseenClasses | None
) -> Predicted:
    """Return the predicted class of every test image; errors as in `read_by`."""
    scores = adapter.score(
        read_by(adapter, measured),
        encoder=adapter.fingerprint,
        logit_scale=measured.text.logit_scale,
        unseen=unseen,
    )
    return Predicted.of(scores)


def accuracies_of(predicted: Sequence[ClassEntry], measured: MeasuredSet) -> tuple[float, float]:
    """Return the accuracy, and the accuracy where equal names count as right.

    In the second an image is right, too, where a class of another task is predicted whose name is
    the same: nobody can tell `pizza` from `pizza`.
    """
    measured_accuracy = accuracy_of(predicted, measured.truth)
    return measured_accuracy.accuracy, measured_accuracy.alike


def unseen_of(sets: Sequence[MeasuredSet]) -> UnseenClasses | None:
    """Return the classes of `sets` as unseen ones."""
    if not sets:
        return None
    return UnseenClasses(
        classes=tuple(entry for each in sets for entry in each.task.classes),
        text_features=torch.cat([each.text.features for each in sets]),
    )


def few_shot(
    images: Sequence[Labelled], class_ids: Sequence[str], *, shots: int, seed: int
) -> tuple[Labelled, ...]:
    """Return at most `shots` images per class, drawn by seed and class."""
    by_class: dict[int, list[Labelled]] = {label: [] for label in range(len(class_ids))}
    for image in images:
        by_class[image.label].append(image)
    chosen: list[Labelled] = []
    for label, of_class in enumerate(class_ids):
        own = by_class[label]
        order = torch.randperm(len(own), generator=generator(seed, "shots", of_class))
        chosen += [own[position] for position in order[:shots].tolist()]
    return tuple(chosen)


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """Which training images a run learns from, and in how many views.

    Attributes:
        shots: Most images per class; None for all.
        seed: Of the drawing.
        views: How they are embedded.
    """

    shots: int | None = None
    seed: int = 0
    views: Views = field(default_factory=Views)


class Embedding:
    """Image sets under one encoder.

    Args:
        encoder: Embeds images and prompts.
        cache: Folder of what was embedded before.
        threads: Images decoded at once.
        image_tower: A tower that a method has made of the encoder's; None for the encoder's own.
    """

    # Owns: nothing that changes but the files of the cache, each of which is written whole.

    def __init__(
        self,
        encoder: Encoder,
        *,
        cache: Path,
        threads: int = 2,
        image_tower: ImageTower | None = None,
    ) -> None:
        self._encoder = encoder
        self._image_tower = image_tower or encoder.image_tower
        self._tower = TextTower(encoder.model)
        self._decoder = Decoder(encoder.transform)
        self._cache = cache / self._image_tower.fingerprint
        self._threads = threads

    @property
    def encoder(self) -> Encoder:
        """What embeds."""
        return self._encoder

    def measured(
        self,
        images: ImageSet,
        drawing: Drawing,
        *,
        progress: ProgressCallback = unwatched,
    ) -> MeasuredSet:
        """Return `images` as they are learnt and measured.

        Args:
            images: The set.
            drawing: What is learnt of it.
            progress: Told how many images have been embedded, and of how many.

        Raises:
            ImageError: a file is no image.
        """
        classes = tuple(class_of_set(images.name, name, name=name) for name in images.classes)
        chosen: Sequence[Labelled] = images.train
        if drawing.shots is not None:
            ids = [entry.class_id for entry in classes]
            chosen = few_shot(chosen, ids, shots=drawing.shots, seed=drawing.seed)
        prompts = [entry.prompt for entry in classes]
        return MeasuredSet(
            task=TaskFeatures(
                task=images.name,
                classes=classes,
                features=self.features(images.name, chosen, drawing.views, progress),
                labels=torch.tensor([image.label for image in chosen]),
                encoder=self._encoder.fingerprint,
            ),
            text=TextSide(
                features=self._encoder.text_features(prompts),
                logit_scale=self._encoder.logit_scale,
                tower=self._tower,
                tokens=self._encoder.tokenizer(prompts),
                tokenizer=self._encoder.tokenizer,
            ),
            test_features=self.features(images.name, images.test, Views(), progress)[:, 0],
            test_labels=torch.tensor([image.label for image in images.test]),
            images=ImageSide(
                tower=self._encoder.image_tower, pixels=self._pixel_source(chosen, drawing.views)
            ),
            test_images=self._pixel_source(images.test, drawing.views),
        )

    def features(
        self, name: str, images: Sequence[Labelled], views: Views, progress: ProgressCallback
    ) -> Tensor:
        """Return the unit features of `images`, (N, V, D) float32.

        Args:
            name: Of their set, for the file in the cache.
            images: Their names stand for what is in them: the same list is not embedded again.
            views: How they are embedded.
            progress: Told how many images have been embedded, and of how many.

        Raises:
            ImageError: a file is no image.
        """
        path = self._cache / f"{name}-{views.name}-{listing_digest(images)}.safetensors"
        if path.is_file():
            return load_file(path)["features"]
        blocks = []
        with ThreadPoolExecutor(self._threads) as threads:
            for start in range(0, len(images), EMBEDDED_AT_ONCE):
                part = images[start : start + EMBEDDED_AT_ONCE]
                pixels = list(threads.map(lambda image: self._pixels(image, views), part))
                blocks.append(self._image_tower.features(torch.cat(pixels)))
                progress(start + len(part), len(images))
        features = by_view(torch.cat(blocks), views.count)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        save_file({"features": features}, unfinished)
        unfinished.replace(path)
        return features

    def _pixel_source(self, images: Sequence[Labelled], views: Views) -> SetPixels:
        return SetPixels(
            images,
            self._encoder.transform,
            augmentation=views.augmentation,
            threads=self._threads,
        )

    def _pixels(self, image: Labelled, views: Views) -> Tensor:
        content = image.read()
        digest = hashlib.sha256(content).hexdigest()
        return self._decoder.decode([content], [digest], views, origins=[image.origin])


def with_views(measured: MeasuredSet, views: int) -> MeasuredSet:
    """Return `measured` with the first `views` views of each training image."""
    task = measured.task
    if task.features.shape[1] == views:
        return measured
    return replace(measured, task=replace(task, features=task.features[:, :views].contiguous()))
