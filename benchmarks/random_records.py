"""LADA records of random numbers, as large as trained ones: for speed, not for answers."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.class_entry import ClassEntry
from adapters.contract.records import Record

WIDTH = 512
VECTORS, COMPONENTS = 16, 4
_VARIANCE = 0.5 / WIDTH


def random_record(number: int, *, classes: int, encoder: str, width: int = WIDTH) -> Record:
    """Return the record of a task called `number`, drawn from that.

    Memory, text features and mixtures of a class lie around one random direction.
    """
    generator = torch.Generator().manual_seed(number)
    centres = torch.randn(classes, width, generator=generator)

    def around(each: int) -> Tensor:
        noise = torch.randn(classes * each, width, generator=generator)
        return normalize(centres.repeat_interleave(each, dim=0) + noise, dim=-1)

    return Record(
        task=str(number),
        classes=tuple(
            ClassEntry(class_id=f"{number}/{index}", name=f"thing {index}", prompt=f"thing {index}")
            for index in range(classes)
        ),
        method="lada",
        settings={"alpha": 1.0, "beta": 1.0},
        seed=number,
        encoder=encoder,
        tensors={
            "memory": around(VECTORS),
            "memory_offsets": torch.arange(classes + 1) * VECTORS,
            "text_features": around(1),
            "mixture_weights": torch.full((classes * COMPONENTS,), 1 / COMPONENTS),
            "mixture_means": around(COMPONENTS),
            "mixture_variances": torch.full((classes * COMPONENTS,), _VARIANCE),
            "mixture_offsets": torch.arange(classes + 1) * COMPONENTS,
        },
    )
