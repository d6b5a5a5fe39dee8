"""The inputs of one task's training: everything that a learner is given, in one record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from adapters.contract.adapter_state import AdapterState
from adapters.contract.task_features import TaskFeatures
from adapters.towers.image_side import ImageSide
from adapters.towers.text_side import TextSide


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrainingInputs:
    """What one task is learnt from.

    Attributes:
        task: Classes, labels, and cached features of the encoder's own tower.
        past: What the version holds that is learnt on.
        text: The task's text side.
        images: Tower and pixels, for methods that learn on the image side.
        settings: The method's settings; those that are missing have their defaults.
        seed: Names every random draw.
        device: Where the products run.
    """

    task: TaskFeatures
    past: AdapterState = field(default_factory=AdapterState)
    text: TextSide
    images: ImageSide = field(default_factory=ImageSide)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    device: torch.device | str = "cpu"
