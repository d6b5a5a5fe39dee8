"""Small tasks made of clusters on the unit sphere."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.class_entry import ClassEntry
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.methods import method_named
from adapters.towers.text_side import TextSide
from tests.support.scenes.training import learn

ENCODER = "synthetic"
SCALE = 20.0


def entries(task: str, classes: int) -> tuple[ClassEntry, ...]:
    """Return `classes` entries whose ids begin with the task's name."""
    return tuple(
        ClassEntry(class_id=f"{task}/{index}", name=f"thing {index}", prompt=f"a thing {index}.")
        for index in range(classes)
    )


def unit_rows(rows: int, width: int, *, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return (rows, width) random directions."""
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(rows, width, generator=generator, dtype=dtype), dim=-1)


def clusters(
    name: str = "first",
    *,
    classes: int = 4,
    images: int = 12,
    views: int = 1,
    width: int = 24,
    seed: int = 0,
    spread: float = 0.25,
) -> TaskFeatures:
    """Return a task of `images` images per class around random centres."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat_interleave(images)
    centres = unit_rows(classes, width, seed=seed + 1000)[labels][:, None]
    noise = torch.randn(len(labels), views, width, generator=generator)
    return TaskFeatures(
        task=name,
        classes=entries(name, classes),
        features=normalize(centres + spread * noise, dim=-1),
        labels=labels,
        encoder=ENCODER,
    )


def class_means(task: TaskFeatures) -> TextSide:
    """Return the class means as anchors."""
    means = [task.of_class(index).mean(dim=0) for index in range(len(task.classes))]
    return TextSide(features=torch.stack(means), logit_scale=SCALE)


def learnt(
    task: TaskFeatures,
    past: Sequence[Record] = (),
    **settings: object,
) -> Record:
    """Return the record of `task`; LADA learns residual anchors in 10 steps unless told else."""
    chosen = {"text": "residual", "steps": 10, "memory_per_class": 5, **settings}
    return learn(
        method_named("lada"),
        task,
        past,
        text=class_means(task),
        settings=chosen,
        seed=3,
    )
