"""Measured accuracies of a version: one object beside its manifest, named by that."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from pydantic import Field

from adapters.errors import InputError
from adapters.uncertainty import Interval, wilson_interval
from workers.formats.documents import Count, seal, unsealed


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskAccuracy:
    """How well a version recognises the test images of one task.

    Attributes:
        task: The task's name.
        accuracy: Right answers over images, from 0 to 1.
        images: How many test images there are.
    """

    task: str
    accuracy: float
    images: int

    def __post_init__(self) -> None:
        """Raise InputError when the numbers are impossible."""
        if not (0.0 <= self.accuracy <= 1.0 and self.images >= 0):
            raise InputError(f"expected an accuracy from 0 to 1 of 0 or more images, found {self}")

    @property
    def interval(self) -> Interval:
        """The 95 % confidence interval of the accuracy."""
        return wilson_interval(round(self.accuracy * self.images), self.images)


def accuracies_to_bytes(accuracies: tuple[TaskAccuracy, ...]) -> bytes:
    """Return the sealed document."""
    return seal({"tasks": [[each.task, each.accuracy, each.images] for each in accuracies]})


def accuracies_from_bytes(data: bytes, what: str) -> tuple[TaskAccuracy, ...]:
    """Return the accuracies in `data`; CorruptionError naming `what` when it is damaged."""
    return tuple(
        _accuracy(task, accuracy, images)
        for task, accuracy, images in unsealed(_StoredAccuracies, data, what).tasks
    )


@lru_cache(maxsize=2**16)
def _accuracy(task: str, accuracy: float, images: int) -> TaskAccuracy:
    """Return what most versions of an adapter say of a task, and so made once for all of them."""
    return TaskAccuracy(task=task, accuracy=accuracy, images=images)


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredAccuracies:
    tasks: tuple[tuple[str, Annotated[float, Field(ge=0, le=1)], Count], ...]
