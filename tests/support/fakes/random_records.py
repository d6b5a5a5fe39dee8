"""Records of nothing: random vectors, for whoever needs versions and no learning."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.class_entry import ClassEntry
from adapters.contract.records import Record


def random_record(
    task: str, *, encoder: str, width: int, classes: int, vectors: int, seed: int, noun: str
) -> Record:
    """Return a record of LADA with `classes` classes of `vectors` memory vectors each.

    Args:
        task: The task's name.
        encoder: Fingerprint of the encoder.
        width: Feature width of the encoder.
        classes: How many.
        vectors: Memory vectors of each class.
        seed: Of all vectors.
        noun: The classes are called so, with their number.
    """
    generator = torch.Generator().manual_seed(seed)

    def rows(count: int) -> Tensor:
        return normalize(torch.randn(count, width, generator=generator), dim=-1)

    return Record(
        task=task,
        classes=tuple(
            ClassEntry(class_id=f"{task}/{index}", name=f"{noun} {index}", prompt=f"{index}")
            for index in range(classes)
        ),
        method="lada",
        settings={"alpha": 1.0, "beta": 1.0},
        seed=seed,
        encoder=encoder,
        tensors={
            "memory": rows(classes * vectors),
            "memory_offsets": torch.arange(classes + 1) * vectors,
            "text_features": rows(classes),
            "mixture_weights": torch.ones(classes),
            "mixture_means": rows(classes),
            "mixture_variances": torch.zeros(classes),
            "mixture_offsets": torch.arange(classes + 1),
        },
    )
