"""Record of DMC: statistics of a task's classes where they were measured, and text features.

Tensors of a record, float32 but for the count:

    text_features     (C, D), as they were given: what the image phase of later tasks learns against
    means             (C, D)
    scales            (C,)
    covariance        (D (D + 1) / 2,), the upper triangle, or (C, D (D + 1) / 2)
    maps_before       (1,) int64, how many maps the chain had when they were measured
    prompt_features   (C, D), with a context of the task's own: the learnt text features
    own_context       (m / 2, W), likewise: the task's own vectors

Shapes: C classes · D feature width · W width of the text tower
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from adapters.contract.records import Record
from adapters.errors import CorruptionError
from adapters.methods.dmc.calibration import AffineMap, composed
from adapters.methods.dmc.class_statistics import ClassStatistics
from adapters.parts.symmetric import packed, packed_size, unpacked


def statistics_tensors(statistics: ClassStatistics, *, maps_before: int) -> dict[str, Tensor]:
    """Return a record's tensors of what was measured."""
    covariance = statistics.covariance
    triangles = (
        packed(covariance)
        if covariance.ndim == 2
        else torch.stack([packed(each) for each in covariance])
    )
    return {
        "means": statistics.means.float(),
        "scales": statistics.scales.float(),
        "covariance": triangles,
        "maps_before": torch.tensor([maps_before]),
    }


def statistics_of(record: Record, chain: tuple[AffineMap, ...]) -> ClassStatistics:
    """Return a record's statistics where the maps of `chain` have taken them.

    Raises:
        CorruptionError: its tensors do not fit its classes, or the chain is too short for it.
    """
    tensors = _checked(record)
    begun = int(tensors["maps_before"])
    if not 0 <= begun <= len(chain):
        raise CorruptionError(
            f"record {record.task!r}: expected at least {begun} maps in the version's chain, found "
            f"{len(chain)}; the record and the shared state are of different histories"
        )
    stored = tensors["covariance"]
    measured = ClassStatistics(
        means=tensors["means"].double(),
        scales=tensors["scales"].double(),
        covariance=(
            unpacked(stored)
            if stored.ndim == 1
            else torch.stack([unpacked(each) for each in stored])
        ),
    )
    later = chain[begun:]
    if not later:
        return measured
    return measured.mapped(composed(later, width=measured.means.shape[1]))


def text_of(record: Record, name: str) -> Tensor:
    """Return text features of a record, (C, D); CorruptionError where it has none."""
    found = record.tensors.get(name)
    expected = len(record.classes)
    if found is None or found.ndim != 2 or len(found) != expected:
        raise CorruptionError(
            f"record {record.task!r}: expected {name} of {expected} classes, found "
            f"{None if found is None else tuple(found.shape)}"
        )
    return found


def _checked(record: Record) -> Mapping[str, Tensor]:
    tensors, classes = record.tensors, len(record.classes)
    try:
        width = tensors["means"].shape[-1]
        triangle = (packed_size(width),)
        fits = (
            tensors["means"].shape == tensors["text_features"].shape == (classes, width)
            and tensors["scales"].shape == (classes,)
            and tuple(tensors["covariance"].shape) in (triangle, (classes, *triangle))
            and tensors["maps_before"].shape == (1,)
        )
    except KeyError as error:
        raise CorruptionError(f"record {record.task!r}: tensor missing: {error}") from error
    if not fits:
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        raise CorruptionError(
            f"record {record.task!r}: tensors do not fit {classes} classes: {shapes}"
        )
    return tensors
