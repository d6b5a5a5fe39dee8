"""Tensors of a record with a row or a number per class, and what follows from them.

Shapes: D feature width · C classes of a record
"""

from typing import NamedTuple

from torch import Tensor

from adapters.contract.records import Record
from adapters.errors import CorruptionError
from adapters.methods.own_metric.settings import TEXT_WEIGHTS
from adapters.parts.readout import Fusion
from adapters.parts.validation import least_cost


def class_tensor(record: Record, name: str) -> Tensor:
    """Return a (C, D) tensor of `record`; CorruptionError where it has none."""
    shape = record.tensors["text_features"].shape
    found = record.tensors.get(name)
    if found is None or found.shape != shape:
        raise CorruptionError(
            f"record {record.task!r}: expected {name} of shape {tuple(shape)}, found "
            f"{None if found is None else tuple(found.shape)}"
        )
    return found


class Anchors(NamedTuple):
    """What a record's classifier was trained to.

    Attributes:
        rows: (C, D), unwhitened.
        offsets: (C,), what is added to the logits; None where all classes have as many images.
    """

    rows: Tensor
    offsets: Tensor | None


def anchors_of(record: Record) -> Anchors:
    """Return the anchors of `record`; CorruptionError where it has none.

    Offsets are one more column, so that whoever knows none of them refuses the record.
    """
    found, (classes, width) = record.tensors.get("anchors"), record.tensors["text_features"].shape
    if record.settings.get("rule") == "counted" and found is not None:
        if found.shape != (classes, width + 1):
            raise CorruptionError(
                f"record {record.task!r}: expected anchors of shape {(classes, width + 1)}, found "
                f"{tuple(found.shape)}"
            )
        return Anchors(found[:, :width], found[:, width])
    return Anchors(class_tensor(record, "anchors"), None)


def centre_of(record: Record) -> Tensor:
    """Return the middle of the class means, (D,) float64: what a metric maps to zero."""
    return class_tensor(record, "means").double().mean(dim=0)


def freedom_of(record: Record) -> int:
    """Return by how many images a record's images outnumber its classes."""
    counts = record.tensors.get("image_counts")
    if counts is None or counts.shape != (len(record.classes),):
        raise CorruptionError(
            f"record {record.task!r}: expected {len(record.classes)} image counts, found "
            f"{None if counts is None else tuple(counts.shape)}"
        )
    return int(counts.sum()) - len(record.classes)


def text_weight(record: Record, *, fusion: Fusion) -> float:
    """Return w of a record."""
    if fusion == "alone":
        return 0.0
    return least_cost(record.tensors["costs"].double(), TEXT_WEIGHTS, default=0.0)
