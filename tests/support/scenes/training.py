"""Inputs of a training, said briefly."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from adapters.contract import learning
from adapters.contract.adapter_state import AdapterState
from adapters.contract.method import Method
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.contract.training_inputs import TrainingInputs
from adapters.towers.text_side import TextSide


def inputs(
    task: TaskFeatures,
    past: Sequence[Record] = (),
    *,
    text: TextSide,
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> TrainingInputs:
    """Return the inputs of `task` after the records `past`, from cached features alone."""
    return TrainingInputs(
        task=task,
        past=AdapterState(records=tuple(past)),
        text=text,
        settings=settings or {},
        seed=seed,
        device=device,
    )


def learn(
    method: Method,
    task: TaskFeatures,
    past: Sequence[Record] = (),
    *,
    text: TextSide,
    settings: Mapping[str, Any],
    seed: int,
) -> Record:
    """Return the record of `task`, learnt after the records `past`."""
    given = inputs(task, past, text=text, settings=settings, seed=seed)
    return learning.learn(method, given).records[-1]
