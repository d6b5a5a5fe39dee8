"""LADA's training batches: prototypes of old classes beside a batch of images, for each step.

Shapes: N images · V views · D feature width · C classes of the task · S old classes
"""

from typing import NamedTuple

import torch
from torch import Tensor

from adapters.contract.randomness import generator
from adapters.contract.task_features import TaskFeatures
from adapters.methods.lada.objective import Rows
from adapters.methods.lada.replay import Prototypes, ReplaySource
from adapters.methods.lada.settings import LadaSettings
from adapters.parts.batches import epoch_batch


class StepRows(NamedTuple):
    """The rows of one step, and what their weighted sum is divided by."""

    rows: Rows
    normaliser: float


class RowSource:
    """Draws the rows of any step from the seed and the step's number; holds no random state.

    Args:
        task: The task.
        replay: The old classes' mixtures, on the device of the products.
        settings: Batch size, weighting and replay.
        seed: Names the draws.
        device: Where the products run.
    """

    def __init__(
        self,
        task: TaskFeatures,
        replay: ReplaySource,
        *,
        settings: LadaSettings,
        seed: int,
        device: torch.device,
    ) -> None:
        self._features = task.features.to(device, torch.float32)
        self._labels = task.labels.to(device)
        self._classes = len(task.classes)
        self._replay, self._settings, self._seed = replay, settings, seed
        self._image_weights = _image_weights(task.labels, self._classes).to(device)

    def at(self, step: int) -> StepRows:
        """Return the rows of step `step`, counted from 0.

        Weights under `code`: pi * replay_weight for a prototype and 1 for an image, divided by the
        number of rows. Under `paper` (Eq. 1): 1 for every class, old or new, divided by the number
        of classes; an image stands for its class in proportion to how rare the class is.
        """
        chosen = self._batch(step)
        images = self._views(chosen, step)
        prototypes, boost = self._prototypes(step)
        if self._settings.weighting == "code":
            image_weights = torch.ones_like(self._image_weights[chosen])
            old_weight = self._settings.replay_weight
            normaliser = float(len(images) + len(prototypes.labels) * boost)
        else:
            image_weights = self._image_weights[chosen] / len(chosen)
            old_weight = 1.0
            normaliser = float(self._replay.classes + self._classes)
        rows = Rows(
            torch.cat([prototypes.features, images]),
            torch.cat([prototypes.labels, self._labels[chosen] + self._replay.classes]),
            torch.cat([prototypes.weights * (old_weight * boost), image_weights]),
        )
        return StepRows(rows, normaliser)

    def _batch(self, step: int) -> Tensor:
        size = self._settings.batch_size
        return epoch_batch(step, images=len(self._labels), size=size, seed=self._seed).to(
            self._labels.device
        )

    def _views(self, chosen: Tensor, step: int) -> Tensor:
        views = self._features.shape[1]
        if views == 1:
            return self._features[chosen, 0]
        drawn = torch.randint(views, (len(chosen),), generator=generator(self._seed, "views", step))
        return self._features[chosen, drawn.to(chosen.device)]

    def _prototypes(self, step: int) -> tuple[Prototypes, float]:
        """Return this step's prototypes, and how many old classes each replayed one stands for."""
        source, boost, most = self._replay, 1.0, self._settings.replay_classes
        if most is not None and most < source.classes:
            order = torch.randperm(
                source.classes, generator=generator(self._seed, "replayed classes", step)
            )
            source, boost = source.of_classes(order[:most]), source.classes / most
        return source.draw(generator(self._seed, "noise", step)), boost


def _image_weights(labels: Tensor, classes: int) -> Tensor:
    """Return N / (images of the class) per image: a batch's mean weighs all classes the same."""
    counts = torch.bincount(labels, minlength=classes)
    return (len(labels) / counts[labels]).float()
