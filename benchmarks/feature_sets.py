"""Cached CLIP features of image sets, as tasks.

A folder holds one NAME.npz per set: `train_f` (N, D), `train_l` (N,), the same for `val` and, where
there is one, `test`, and `classnames` (C,). Anchors are class means of the training features, since
the folder has text features for one set only.

Shapes: N images · D feature width · C classes
"""

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.class_entry import ClassEntry
from adapters.contract.task_features import TaskFeatures
from adapters.towers.text_side import TextSide
from harness.measured_set import MeasuredSet

SEQUENCE = ("caltech101", "oxford_flowers", "oxford_pets", "stanford_cars")
LOGIT_SCALE = 100.0


def default_folder() -> Path:
    """Return NACRE_FEATURES, or the folder beside the repository."""
    return Path(os.environ.get("NACRE_FEATURES", "../shared/features/openai-vit-b-32"))


def feature_set(name: str, *, folder: Path) -> MeasuredSet:
    """Return the set called `name`."""
    with np.load(folder / f"{name}.npz") as arrays:
        split = "test" if "test_f" in arrays else "val"
        features = _unit_rows(arrays["train_f"])
        labels = torch.from_numpy(arrays["train_l"]).long()
        classes = tuple(
            ClassEntry(class_id=f"{name}/{index}", name=str(label), prompt="")
            for index, label in enumerate(arrays["classnames"])
        )
        tested = _unit_rows(arrays[f"{split}_f"])
        test_labels = torch.from_numpy(arrays[f"{split}_l"]).long()
    task = TaskFeatures(
        task=name, classes=classes, features=features[:, None], labels=labels, encoder=folder.name
    )
    means = torch.stack([task.of_class(index).mean(dim=0) for index in range(len(classes))])
    return MeasuredSet(
        task=task,
        text=TextSide(features=means, logit_scale=LOGIT_SCALE),
        test_features=tested,
        test_labels=test_labels,
    )


def _unit_rows(stored: "np.ndarray[tuple[int, int], np.dtype[np.float16]]") -> Tensor:
    return normalize(torch.from_numpy(stored).float(), dim=-1)
