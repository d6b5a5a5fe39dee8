"""The prompt phase: prompts learnt over all classes, the image side frozen, old classes replayed.

    L2 = sum over rows of w CE(s f text)

Half of the rows are the task's images, half points drawn from old classes. A row's weight stands
for its class: every class counts 1 / C.

Shapes: B images · P points of old classes · C classes so far · O old ones · D feature width
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from adapters.contract.randomness import derived_seed, generator
from adapters.methods.dmc.class_statistics import ClassReplay
from adapters.methods.dmc.prompts import Contexts, Prompts
from adapters.methods.dmc.settings import DmcSettings
from adapters.methods.dmc.targets import Targets
from adapters.parts.batches import epoch_batch
from adapters.parts.optimiser import ScheduledAdamW
from adapters.parts.schedule import cosine
from adapters.parts.trained import Descent

_MOST_NORM = 1.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rows:
    """What the prompt phase learns from; nothing in here changes.

    Attributes:
        features: (N, D) float32 unit rows, the task's images through the new tower.
        replay: The old classes; None where there are none.
        through: From drawn points to what the new tower's features are compared with.
    """

    features: Tensor
    replay: ClassReplay | None
    through: Callable[[Tensor], Tensor] = lambda points: points


class PromptPhase(Descent):
    """The contexts of one task, being trained.

    Args:
        prompts: Of the classes whose text features move: all, or the task's own.
        fixed: (O, D) unit rows, the text features of old classes that stay; None where all move.
        contexts: What is trained.
        rows: Images and replay.
        targets: Labels of the images.
        settings: Settings.
        seed: Names the draws.
    """

    def __init__(
        self,
        prompts: Prompts,
        *,
        fixed: Tensor | None,
        contexts: Contexts,
        rows: Rows,
        targets: Targets,
        settings: DmcSettings,
        seed: int,
    ) -> None:
        self._prompts, self._fixed, self._contexts = prompts, fixed, contexts
        self._rows, self._targets, self._settings = rows, targets, settings
        self._seed = derived_seed(seed, "prompts")
        self._counts = torch.bincount(targets.labels - targets.old)
        self.total_steps = prompt_steps(len(targets.labels), settings)
        self.optimiser = ScheduledAdamW(
            contexts.trained,
            rate=partial(cosine, total_steps=self.total_steps, peak=settings.prompt_learning_rate),
            weight_decay=settings.prompt_decay,
        )

    def advance(self, step: int) -> float:
        """Take step `step`, with gradients of norm 1 at most, and return its loss."""
        loss = self.loss(step)
        loss.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(self._contexts.trained.values(), _MOST_NORM)
        self.optimiser.step(step)
        return float(loss.detach())

    def loss(self, step: int) -> Tensor:
        """Return the class-balanced cross-entropy of the step's rows."""
        features, labels, weights = self._drawn(step)
        text, columns = self._text(step, labels)
        logits, among = self._targets.against(text, features, labels, columns=columns)
        return (weights * cross_entropy(logits, among, reduction="none")).sum()

    def _drawn(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return features, columns and weights of the step's rows."""
        size, total = self._settings.batch_size, len(self._targets.labels)
        places = epoch_batch(step, images=total, size=size, seed=self._seed)
        labels, device = self._targets.labels[places], self._rows.features.device
        features, replay = self._rows.features[places.to(device)], self._rows.replay
        replayed = 0 if replay is None else self._settings.replay_size
        weights = row_weights(
            labels - self._targets.old, self._counts, old=self._targets.old, replayed=replayed
        )
        if replay is not None:
            drawn = generator(self._seed, "replay", step)
            points, of_points = replay.draw(replayed, generator=drawn)
            features = torch.cat([features, self._rows.through(points.to(device))])
            labels = torch.cat([labels, of_points])
        return features, labels, weights.to(device)

    def _text(self, step: int, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the text features of the classes that take part, and which these are."""
        context = self._contexts.whole
        if self._fixed is not None:
            return torch.cat([self._fixed, self._prompts.features(context)]), None
        classes, most = len(self._targets.classes), self._settings.classes_per_step
        if classes <= most:
            return self._prompts.features(context), None
        columns = chosen_classes(
            labels, classes=classes, most=most, generator=generator(self._seed, "classes", step)
        )
        return self._prompts.features(context, columns), columns


def prompt_steps(images: int, settings: DmcSettings) -> int:
    """Return how many steps the prompt phase takes."""
    return settings.phase_steps(settings.prompt_epochs, images=images)


def row_weights(labels: Tensor, counts: Tensor, *, old: int, replayed: int) -> Tensor:
    """Return the weights of a step's rows, images first, (B + P,) float32, summing to 1.

    Args:
        labels: (B,) int64, classes of the images, among the task's own.
        counts: How many images of the task each of its classes has.
        old: O; points stand for them, drawn with equal chances.
        replayed: P, more than 0 where O is.
    """
    of_new = len(counts) / (len(counts) + old)
    rarity = 1 / counts[labels].float()
    images = of_new * rarity / rarity.sum()
    points = torch.full((replayed,), (1 - of_new) / max(replayed, 1))
    return torch.cat([images, points])


def chosen_classes(
    labels: Tensor, *, classes: int, most: int, generator: torch.Generator
) -> Tensor:
    """Return the classes of `labels` and others drawn until there are `most`, ascending."""
    present = torch.unique(labels)
    order = torch.randperm(classes, generator=generator)
    others = order[~torch.isin(order, present)]
    return torch.cat([present, others[: max(most - len(present), 0)]]).sort().values
