"""The image phase: the image side learnt against frozen text features, near the last version's.

    L1 = CE(s f(x) t0) + lambda * mean(1 - f_t(x) f_{t-1}(x))

over all classes so far; the second term from the second task on. Nothing is replayed: what stands
for old classes are features, on which a tower that makes features has no gradient.

Shapes: B images · D feature width · C classes so far
"""

from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from adapters.contract.randomness import derived_seed
from adapters.methods.dmc.image_change import ImageChange, Parameters
from adapters.methods.dmc.settings import DmcSettings
from adapters.methods.dmc.targets import Targets
from adapters.parts.batches import epoch_batch
from adapters.parts.optimiser import ScheduledAdamW
from adapters.parts.schedule import cosine
from adapters.parts.trained import Descent


class ImagePhase(Descent):
    """The image change of one task, being trained.

    Attributes:
        parameters: As they are now, by name.

    Args:
        change: What is learnt.
        start: Its parameters at the beginning, by name.
        targets: Labels, and the frozen text features of all classes so far.
        settings: Settings.
        seed: Names the batches.
        follows: Whether there is a last version to stay near.
    """

    def __init__(
        self,
        change: ImageChange,
        start: Parameters,
        *,
        targets: Targets,
        settings: DmcSettings,
        seed: int,
        follows: bool,
    ) -> None:
        self._change, self._targets, self._seed = change, targets, seed
        self._size = settings.batch_size
        self._distillation = settings.distillation if follows else 0.0
        self._before = {name: each.to(change.device) for name, each in start.items()}
        self.parameters = {
            name: torch.nn.Parameter(each.clone()) for name, each in self._before.items()
        }
        self._batches = -(-len(targets.labels) // self._size)
        self.total_steps = settings.phase_steps(settings.image_epochs, images=len(targets.labels))
        self.optimiser = ScheduledAdamW(
            self.parameters,
            rate=partial(cosine, total_steps=self.total_steps, peak=settings.image_rate),
            weight_decay=0.0,
        )

    def loss(self, step: int) -> Tensor:
        """Return the loss of the step's images, each epoch in a view of its own."""
        images = len(self._targets.labels)
        places = epoch_batch(step, images=images, size=self._size, seed=self._seed)
        view = 1 + derived_seed(self._seed, "view", step // self._batches)
        given = self._change.read(places, view=view)
        features = self._change.features(given, self.parameters)
        loss = cross_entropy(*self._targets.logits(features, places))
        if self._distillation:
            with torch.no_grad():
                before = self._change.features(given, self._before)
            loss = loss + self._distillation * (1 - (features * before).sum(dim=1)).mean()
        return loss

    @torch.no_grad()
    def measured(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Return images' features before the phase and now, under the test view, (B, D) each."""
        given = self._change.read(places, view=0)
        return (
            self._change.features(given, self._before),
            self._change.features(given, self.parameters),
        )
