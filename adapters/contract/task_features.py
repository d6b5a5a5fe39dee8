"""The training data of one task: its classes, and the features of their images.

Shapes: N images · V views per image · D feature width · C classes
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from adapters.contract.canonical import canonical_json
from adapters.contract.class_entry import ClassEntry
from adapters.contract.records import Record, check_classes
from adapters.errors import ClassNameError, EncoderMismatchError, FeatureError, SettingsError

# Features that were stored as float16 are off the unit sphere by up to 1e-3.
_UNIT_TOLERANCE = 1e-2


class Spread(NamedTuple):
    """How images of a task lie about the means of their classes.

    Attributes:
        means: (C, D), of its classes.
        covariance: (D, D) float64, of an image about the mean of its class.
    """

    means: Tensor
    covariance: Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TaskFeatures:
    """The features of one task's training images.

    Attributes:
        task: The task's name.
        classes: Its C classes.
        features: (N, V, D) float32, unit rows; view 0 is the test transform.
        labels: (N,) int64, index into `classes`; every class has at least one image.
        encoder: Fingerprint of the encoder.

    Raises:
        FeatureError: wrong shape or dtype, not finite, a zero vector, or rows that are not unit.
        ClassNameError: no classes, two with one id, or a class without images.
    """

    task: str
    classes: tuple[ClassEntry, ...]
    features: Tensor
    labels: Tensor
    encoder: str

    def __post_init__(self) -> None:
        check_classes(self.classes, task=self.task)
        check_features(self.features, dims=3)
        _check_labels(self)

    @property
    def width(self) -> int:
        """D, the width of the features."""
        return self.features.shape[2]

    def of_class(self, index: int) -> Tensor:
        """Return class `index`'s features under the test transform, (n, D) float32."""
        return self.features[self.labels == index, 0]

    def digest(self) -> str:
        """Return a digest of everything in here: two tasks with one digest are the same."""
        described = {
            "task": self.task,
            "classes": [asdict(entry) for entry in self.classes],
            "encoder": self.encoder,
            "features": [str(self.features.dtype), *self.features.shape],
        }
        digest = hashlib.sha256(canonical_json(described))
        digest.update(self.features.cpu().contiguous().numpy().data)
        digest.update(self.labels.cpu().contiguous().numpy().data)
        return digest.hexdigest()


def check_features(features: Tensor, *, dims: int, width: int | None = None) -> None:
    """Raise FeatureError unless `features` are finite float32 unit rows of `width`.

    Args:
        features: (..., D) with `dims` dimensions.
        dims: How many dimensions are expected.
        width: D, where it is known.
    """
    shape = tuple(features.shape)
    if features.ndim != dims or features.dtype not in (torch.float32, torch.float64):
        raise FeatureError(
            f"features: expected {dims} dimensions of float32, found {features.ndim} of "
            f"{features.dtype}, shape {shape}"
        )
    if width is not None and shape[-1] != width:
        raise FeatureError(
            f"features: expected width {width}, found {shape[-1]}; were they made by another "
            "encoder?",
            expected=width,
            found=shape[-1],
        )
    norms = features.norm(dim=-1)
    if not torch.isfinite(norms).all():
        raise FeatureError(f"features {shape}: expected finite numbers, found NaN or infinity")
    if ((norms - 1).abs() > _UNIT_TOLERANCE).any():
        raise FeatureError(
            f"features {shape}: expected unit rows, found norms from {float(norms.min()):.4g} to "
            f"{float(norms.max()):.4g}; normalise them, and leave out images whose feature is zero"
        )


def check_past(task: TaskFeatures, past: Sequence[Record], *, method: str) -> None:
    """Raise unless `task` can be learnt by `method` after the records `past`.

    Raises:
        SettingsError: records of another method.
        EncoderMismatchError: another encoder's features.
        ClassNameError: a class id that exists already.
    """
    for record in past:
        check_encoder(task.encoder, expected=record.encoder)
        if record.method != method:
            raise SettingsError(
                f"task {task.task!r}: expected method {record.method!r}, by which the adapter has "
                f"learnt {record.task!r}, found {method!r}; name {record.method!r} as its method "
                "in the configuration and submit the task again, or submit it to another adapter",
                expected=record.method,
                found=method,
            )
    known = {entry.class_id: record.task for record in past for entry in record.classes}
    for entry in task.classes:
        if entry.class_id in known:
            raise ClassNameError(
                f"task {task.task!r}: class id {entry.class_id!r} exists already, in task "
                f"{known[entry.class_id]!r}; rename one",
                task=task.task,
                class_id=entry.class_id,
            )


def check_encoder(found: str, *, expected: str) -> None:
    """Raise EncoderMismatchError unless both fingerprints are the same."""
    if found != expected:
        raise EncoderMismatchError(
            f"encoder: expected features of {expected!r}, found {found!r}; encode the images again "
            "with the adapter's encoder",
            expected=expected,
            found=found,
        )


def _check_labels(task: TaskFeatures) -> None:
    count, images = len(task.classes), task.features.shape[0]
    labels = task.labels
    if labels.shape != (images,) or labels.dtype != torch.int64:
        raise FeatureError(
            f"labels: expected ({images},) int64, found {tuple(labels.shape)} {labels.dtype}"
        )
    if images and (int(labels.min()) < 0 or int(labels.max()) >= count):
        raise FeatureError(
            f"labels: expected 0 to {count - 1}, found {int(labels.min())} to {int(labels.max())}"
        )
    present = torch.bincount(labels, minlength=count)
    for entry, images_of_class in zip(task.classes, present.tolist(), strict=True):
        if images_of_class == 0:
            raise ClassNameError(
                f"task {task.task!r}: class {entry.class_id!r} has no images; add some or leave "
                "the class out",
                task=task.task,
                class_id=entry.class_id,
            )
