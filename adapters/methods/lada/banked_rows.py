"""LADA's training batches whose old part is computed beforehand: steps cost what is new.

Shapes: N images · V views · D feature width
"""

import torch

from adapters.contract.merging import Partners
from adapters.contract.task_features import TaskFeatures
from adapters.methods.lada.bank import chances_of, full_bank, sampled_bank
from adapters.methods.lada.past_softmax import OldClasses, old_part
from adapters.methods.lada.replay import ReplaySource
from adapters.methods.lada.rows import ImageSource, StepRows, StepSource
from adapters.methods.lada.settings import LadaSettings
from adapters.methods.lada.softmax import NewClasses
from adapters.methods.lada.step_rows import OldPart, Rows


class BankedRows(StepSource):
    """Takes every step's prototypes from a bank, and the old part of its images from a table.

    Where a training is too short to see all views of all images, there is no table: each step
    scores its own images.

    Args:
        task: The task.
        replay: The old classes' mixtures, on the device of the products.
        old: The old classes, at least one.
        new: The new classes as they are before training.
        settings: Bank, batch size and weighting.
        seed: Names the draws.
        steps: Of the whole training.
        partners: The columns that count as one; None where none do.
    """

    def __init__(
        self,
        task: TaskFeatures,
        replay: ReplaySource,
        old: OldClasses,
        new: NewClasses,
        *,
        settings: LadaSettings,
        seed: int,
        steps: int,
        partners: Partners | None,
    ) -> None:
        self._settings = settings
        self._replay_classes, self._components = replay.classes, len(replay.labels)
        self._images = ImageSource(
            task,
            old_classes=replay.classes,
            settings=settings,
            seed=seed,
            device=replay.means.device,
        )
        self._old, self._partners = old, partners
        self._table = None
        images, views, _ = self._images.features.shape
        if steps * settings.batch_size >= images * views:
            self._table = self._old_of_all_images()
            self._old = old._replace(memory=())  # as large as all records, and not needed again
        if len(replay.labels) == 0 or settings.replay_bank == "all":
            bank = full_bank(replay, settings=settings, seed=seed)
        else:
            chances = chances_of(replay, old, new)
            bank = sampled_bank(replay, chances, settings=settings, seed=seed)
        scored = bank.rows._replace(old=old_part(bank.rows, old, partners=partners))
        self._bank = bank._replace(rows=scored)

    def at(self, step: int) -> StepRows:
        chosen = self._images.at(step)
        places = chosen.places, chosen.views
        images = Rows(self._images.features[places], chosen.labels, chosen.weights)
        if self._table is None:
            old = old_part(images, self._old, partners=self._partners)
        else:
            old = OldPart(*(each[places] for each in self._table))
        normaliser = float(self._replay_classes + self._images.classes)
        if self._settings.weighting == "code":
            normaliser = float(len(chosen.places) + self._components)
        rows = self._bank.at(step).followed_by(images._replace(old=old))
        return StepRows(rows, normaliser)

    def _old_of_all_images(self) -> OldPart:
        """Return the old classes' part for every view of every image, (N, V) each."""
        images, views, width = self._images.features.shape
        features = self._images.features.reshape(-1, width)
        labels = self._images.labels.repeat_interleave(views)
        rows = Rows(features, labels, torch.ones_like(features[:, 0]))
        scored = old_part(rows, self._old, partners=self._partners)
        return OldPart(*(each.view(images, views) for each in scored))
