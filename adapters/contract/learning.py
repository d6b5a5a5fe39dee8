"""Training loop: one task learnt from beginning to end in one call."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from adapters.contract.method import Method
from adapters.contract.mixture import Mixture, fit_mixture
from adapters.contract.randomness import derived_seed
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.towers.text_side import TextSide


def learn(
    method: Method,
    task: TaskFeatures,
    past: Sequence[Record],
    *,
    text: TextSide,
    settings: Mapping[str, Any],
    seed: int,
    device: torch.device | str = "cpu",
) -> Record:
    """Return the record of `task`, learnt after `past`; errors as in `Method.start`."""
    learner = method.start(task, past, text=text, settings=settings, seed=seed, device=device)
    while learner.steps_done < learner.total_steps:
        learner.step()
    mixtures = class_mixtures(task, components=method.mixture_components(settings), seed=seed)
    return method.record(task, learner.learnt(), mixtures, settings=settings, seed=seed)


def class_mixtures(
    task: TaskFeatures, *, components: int, seed: int, classes: range | None = None
) -> list[Mixture]:
    """Return one mixture per class of `task`, or for `classes` alone.

    None where `components` is 0. Classes do not depend on each other, so that several machines may
    fit some each.
    """
    if components == 0:
        return []
    return [
        fit_mixture(
            task.of_class(index), components, mixture_seed(seed, task.classes[index].class_id)
        )
        for index in (range(len(task.classes)) if classes is None else classes)
    ]


def mixture_seed(seed: int, class_id: str) -> int:
    """Return the seed of one class's mixture: it depends on the class, not on its place."""
    return derived_seed(seed, "mixture", class_id)
