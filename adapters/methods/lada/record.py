"""LADA's record: tuned text features, label-specific memory and mixtures.

Tensors of a record, all float32 or int64, contiguous, on the CPU:

    memory               (sum of vectors, D)     rows grouped by class            Eq. 5
    memory_offsets       (C + 1,) int64          where each class's rows begin
    text_features        (C, D)                  tuned, of any length             Eq. 1
    mixture_weights      (sum of components,)    summing to 1 per class           Eq. 9
    mixture_means        (sum of components, D)
    mixture_variances    (sum of components,)    Tr(Sigma) / D
    mixture_offsets      (C + 1,) int64
    spread               (R, D)                  at most 32 directions in which images spread about
                                                 their class means, as far as they do
    spread_rest          (1,)                    the variance in every other direction

The last two are missing in records of earlier releases. Scores know nothing of them.

Shapes: D feature width · C classes · R directions
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from adapters.contract.mixture import Mixture
from adapters.contract.records import Record
from adapters.contract.task_features import Spread, TaskFeatures
from adapters.contract.tensor_blob import BlobLayout, BlobTensors, as_stored
from adapters.errors import CorruptionError
from adapters.methods.lada.memory import grouped_offsets
from adapters.parts.spreads import Directions, spread_of

_GROUPED = {
    "memory_offsets": ("memory",),
    "mixture_offsets": ("mixture_weights", "mixture_means", "mixture_variances"),
}


def mixture_tensors(mixtures: Sequence[Mixture]) -> dict[str, Tensor]:
    """Return the record's tensors of one mixture per class."""
    return {
        "mixture_weights": torch.cat([mixture.weights for mixture in mixtures]),
        "mixture_means": torch.cat([mixture.means for mixture in mixtures]),
        "mixture_variances": torch.cat([mixture.variances for mixture in mixtures]),
        "mixture_offsets": grouped_offsets([len(mixture.weights) for mixture in mixtures]),
    }


def spread_tensors(task: TaskFeatures) -> dict[str, Tensor]:
    """Return the record's tensors of how the images of a task spread."""
    found = spread_of(task.features[:, 0], task.labels, classes=len(task.classes))
    directions = Directions.of(found.covariance)
    return {"spread": directions.rows.float(), "spread_rest": directions.rest.float()}


def record_spread(record: Record) -> Spread:
    """Return how the images of a LADA record spread about their class means.

    Raises:
        CorruptionError: the record's tensors do not fit, or are of an earlier release.
    """
    mixtures = record_mixtures(record)
    means = [(each.weights[:, None] * each.means).sum(dim=0) for each in mixtures]
    try:
        directions = Directions(record.tensors["spread"], record.tensors["spread_rest"])
    except KeyError as error:
        raise CorruptionError(f"record {record.task!r}: tensor missing: {error}") from error
    rows, rest = directions
    if rows.ndim != 2 or rows.shape[1] != means[0].shape[0] or rest.shape != (1,):
        raise CorruptionError(
            f"record {record.task!r}: expected directions of {means[0].shape[0]} numbers and one "
            f"variance, found {tuple(rows.shape)} and {tuple(rest.shape)}"
        )
    return Spread(torch.stack(means), directions.covariance)


def record_mixtures(record: Record) -> list[Mixture]:
    """Return the mixtures of a LADA record, one per class.

    Raises:
        CorruptionError: the record's tensors do not fit its classes.
    """
    tensors = checked_tensors(record)
    sizes = tensors["mixture_offsets"].diff().tolist()
    split = (
        torch.split(tensors[f"mixture_{part}"], sizes) for part in ("weights", "means", "variances")
    )
    return [
        Mixture(weights=weights, means=means, variances=variances)
        for weights, means, variances in zip(*split, strict=True)
    ]


def checked_tensors(record: Record) -> Mapping[str, Tensor]:
    """Return the record's tensors once they fit each other and its classes.

    Raises:
        CorruptionError: one is missing, or does not fit.
    """
    tensors, classes = as_stored(record.tensors), len(record.classes)
    layout = record.tensors.layout if isinstance(record.tensors, BlobTensors) else None
    try:
        sizes = _sizes(classes, layout) if layout else _sizes_of(classes, _shapes(tensors))
        fits = sizes is not None and all(
            _grouped(tensors[offsets], size) for offsets, size in sizes.items()
        )
    except (KeyError, IndexError) as error:
        raise CorruptionError(f"record {record.task!r}: tensor missing or flat: {error}") from error
    if not fits:
        shapes = _shapes(tensors)
        raise CorruptionError(
            f"record {record.task!r}: tensors do not fit {classes} classes: {shapes}"
        )
    return record.tensors


@lru_cache(maxsize=64)
def _sizes(classes: int, layout: BlobLayout) -> Mapping[str, int] | None:
    """Return `_sizes_of` tensors that lie so: records of one shape are looked at once."""
    return _sizes_of(classes, {name: place.shape for name, place in layout.places.items()})


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _sizes_of(classes: int, shapes: Mapping[str, tuple[int, ...]]) -> Mapping[str, int] | None:
    """Return how many rows the offsets of each name divide; None where shapes do not fit.

    Raises:
        KeyError, IndexError: a tensor is missing, or has no width.
    """
    width = shapes["text_features"][1]
    rows = {offsets: {shapes[name][0] for name in names} for offsets, names in _GROUPED.items()}
    fits = (
        shapes["text_features"] == (classes, width)
        and shapes["memory"][1] == shapes["mixture_means"][1] == width
        and all(len(sizes) == 1 and shapes[name] == (classes + 1,) for name, sizes in rows.items())
    )
    return {offsets: sizes.pop() for offsets, sizes in rows.items()} if fits else None


def _grouped(offsets: Tensor, size: int) -> bool:
    """Return whether `offsets`, as many as there should be, divide so many rows."""
    if offsets.dtype != torch.int64:
        return False
    ends = offsets.tolist()  # a list of numbers is looked at faster than a small tensor
    return bool(ends[0] == 0 and size == ends[-1] and ends == sorted(ends))
