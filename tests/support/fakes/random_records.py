"""Records of nothing: random vectors, for whoever needs versions and no learning."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.class_entry import ClassEntry
from adapters.contract.records import Record


def random_record(
    task: str,
    *,
    encoder: str,
    width: int,
    classes: int,
    vectors: int,
    seed: int,
    noun: str,
    components: int = 0,
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
        components: Of each class's mixture, which then lie around one direction with its memory
            and its text, as learnt ones do. 0: one point, and nothing has to do with anything.
    """
    generator = torch.Generator().manual_seed(seed)
    mixed, variance = max(components, 1), 0.5 / width if components else 0.0
    centres = torch.randn(classes, width, generator=generator) if components else None

    def rows(each: int) -> Tensor:
        drawn = torch.randn(classes * each, width, generator=generator)
        if centres is not None:
            drawn = centres.repeat_interleave(each, dim=0) + drawn
        return normalize(drawn, dim=-1)

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
            "memory": rows(vectors),
            "memory_offsets": torch.arange(classes + 1) * vectors,
            "text_features": rows(1),
            "mixture_weights": torch.full((classes * mixed,), 1 / mixed),
            "mixture_means": rows(mixed),
            "mixture_variances": torch.full((classes * mixed,), variance),
            "mixture_offsets": torch.arange(classes + 1) * mixed,
        },
    )
