"""Measured accuracies of a version: one object beside its manifest, named by that."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from adapters.contract.json_reading import read_json, typed
from adapters.errors import CorruptionError, InputError
from adapters.uncertainty import Interval, wilson_interval
from workers.formats.documents import Count, decode, seal, sealed_as, unsealed
from workers.registry.documents.task_lists import KnownItems, parted


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
    found = _known(data, what)
    if found is None:
        found = tuple(map(_accuracy, unsealed(_StoredAccuracies, data, what).tasks))
    return found


def _known(data: bytes, what: str) -> tuple[TaskAccuracy, ...] | None:
    """Return the same, reading only those lines that no other document had.

    None where that cannot be: reading it as a whole then says what is wrong, if anything is.
    """
    parts = parted(data)
    if parts is None:
        return None
    try:
        fields = decode(parts[0], what)
        if fields["tasks"] or not sealed_as(data, fields.get("sha256")):
            return None
        return _LINES.items(parts[1])
    except (CorruptionError, ValueError):
        return None


_Line = tuple[str, Annotated[float, Field(ge=0, le=1)], Count]


def _read(data: bytes) -> tuple[TaskAccuracy, ...]:
    read_json(data)  # of one meaning; types are looked at where it is read again
    return tuple(map(_accuracy, typed(tuple[_Line, ...]).validate_json(data, strict=True)))


def _accuracy(line: _Line) -> TaskAccuracy:
    task, accuracy, images = line
    return TaskAccuracy(task=task, accuracy=accuracy, images=images)


_LINES = KnownItems(_read)


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredAccuracies:
    tasks: tuple[_Line, ...]
