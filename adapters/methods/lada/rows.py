"""LADA's training batches: prototypes of old classes beside a batch of images, for each step.

Shapes: N images · V views · D feature width · C classes of the task · S old classes · B images of a
step
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from adapters.contract.randomness import generator
from adapters.contract.task_features import TaskFeatures
from adapters.methods.lada.replay import Prototypes, ReplaySource
from adapters.methods.lada.settings import LadaSettings
from adapters.methods.lada.step_rows import Rows
from adapters.parts.batches import epoch_batch


class StepRows(NamedTuple):
    """The rows of one step, and what their weighted sum is divided by."""

    rows: Rows
    normaliser: float


class StepSource(Protocol):
    """Gives the rows of any step from the seed and the step's number; holds no random state."""

    def at(self, step: int) -> StepRows:
        """Return the rows of step `step`, counted from 0.

        Weights under `code`: pi * replay_weight for a prototype and 1 for an image, divided by the
        number of rows. Under `paper` (Eq. 1): 1 for every class, old or new, divided by the number
        of classes; an image stands for its class in proportion to how rare the class is.
        """


class ChosenImages(NamedTuple):
    """The images of one step.

    Attributes:
        places: (B,) int64, which images of the task.
        views: (B,) int64, which view of each.
        labels: (B,) int64, columns behind those of the old classes.
        weights: (B,), of each image's cross-entropy.
    """

    places: Tensor
    views: Tensor
    labels: Tensor
    weights: Tensor


class ImageSource:
    """Chooses the images of any step.

    Args:
        task: The task.
        old_classes: S.
        settings: Batch size and weighting.
        seed: Names the draws.
        device: Where the products run.
    """

    def __init__(
        self,
        task: TaskFeatures,
        *,
        old_classes: int,
        settings: LadaSettings,
        seed: int,
        device: torch.device,
    ) -> None:
        self.features = task.features.to(device, torch.float32)
        self.labels = task.labels.to(device) + old_classes
        self.classes = len(task.classes)
        self._settings, self._seed = settings, seed
        self._weights = _image_weights(task.labels, self.classes).to(device)

    def at(self, step: int) -> ChosenImages:
        """Return the images of step `step`, counted from 0."""
        size = self._settings.batch_size
        chosen = epoch_batch(step, images=len(self.labels), size=size, seed=self._seed)
        places = chosen.to(self.labels.device)
        weights = torch.ones_like(self._weights[places])
        if self._settings.weighting == "paper":
            weights = self._weights[places] / len(places)
        return ChosenImages(places, self._views(len(places), step), self.labels[places], weights)

    def _views(self, images: int, step: int) -> Tensor:
        views, device = self.features.shape[1], self.labels.device
        if views == 1:
            return torch.zeros(images, dtype=torch.int64, device=device)
        return torch.randint(views, (images,), generator=generator(self._seed, "views", step)).to(
            device
        )


class RowSource(StepSource):
    """Draws every step's prototypes anew; the step scores them against all old classes.

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
        self._images = ImageSource(
            task, old_classes=replay.classes, settings=settings, seed=seed, device=device
        )
        self._replay, self._settings, self._seed = replay, settings, seed

    def at(self, step: int) -> StepRows:
        images = self._images.at(step)
        prototypes, boost = self._prototypes(step)
        if self._settings.weighting == "code":
            normaliser = float(len(images.places) + len(prototypes.labels) * boost)
        else:
            normaliser = float(self._replay.classes + self._images.classes)
        rows = Rows(
            torch.cat([prototypes.features, self._images.features[images.places, images.views]]),
            torch.cat([prototypes.labels, images.labels]),
            torch.cat([prototypes.weights * (self._settings.old_weight * boost), images.weights]),
        )
        return StepRows(rows, normaliser)

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
