"""Banks of replay: prototypes drawn, and scored against the old classes, once per training.

Nothing that is learnt changes the old classes' logits of a point. Where the points are drawn before
the first step, the old classes' part of their softmax is computed there, once, and a step is left
with the columns of the new classes.

A bank is made from the records and the seed, when a training starts and when it resumes; no record
and no checkpoint holds any of it.

Shapes: P prototypes of a bank, R of them in a step · K mixture components of all old classes
together · D feature width
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.randomness import generator
from adapters.methods.lada.past_softmax import OldClasses, own_logits
from adapters.methods.lada.replay import ReplaySource
from adapters.methods.lada.settings import LadaSettings
from adapters.methods.lada.softmax import NewClasses, put_new_logits
from adapters.methods.lada.step_rows import Rows, portions

DRAWS = 4
"""Draws of every component in a bank of all classes; step s takes draw s modulo this."""

_ALIKE = 0.5
"""Of a sampled bank, what all classes share alike."""

PORTIONS = 8
"""Steps that a sampled bank serves before it begins again."""


class Bank(NamedTuple):
    """Prototypes with the old classes' part of their softmax, in portions of a step each.

    Attributes:
        rows: P of them; weights are those in a step.
        step_rows: R.
    """

    rows: Rows
    step_rows: int

    def at(self, step: int) -> Rows:
        """Return the prototypes of step `step`, counted from 0."""
        portions = len(self.rows.labels) // max(self.step_rows, 1)
        start = step % max(portions, 1) * self.step_rows
        return self.rows.part(slice(start, start + self.step_rows))


def full_bank(replay: ReplaySource, *, settings: LadaSettings, seed: int) -> Bank:
    """Return 4 draws of every component, not scored yet; a step takes one draw of all.

    Args:
        replay: The old classes' mixtures; without any the bank is empty.
        settings: Their weight.
        seed: Names the draws: "bank" and their number.
    """
    draws = [replay.draw(generator(seed, "bank", number)) for number in range(DRAWS)]
    features = torch.cat([each.features for each in draws])
    weights = (replay.weights * settings.old_weight).repeat(DRAWS)
    return Bank(Rows(features, replay.labels.repeat(DRAWS), weights), len(replay.labels))


def sampled_bank(
    replay: ReplaySource, chances: Tensor, *, settings: LadaSettings, seed: int
) -> Bank:
    """Return 8 R prototypes, not scored yet, whatever the number of old classes.

    What a step's prototypes weigh is, in the mean over seeds, what all components would: each
    weighs as its component does, over R times its chance.

    Args:
        replay: The old classes' mixtures, at least one.
        chances: (K,), of each component, summing to 1.
        settings: R, and the weight of an old class.
        seed: Names the draws: "bank" and "sample".
    """
    size, draws = settings.sampled_rows, generator(seed, "bank", "sample")
    count, device = PORTIONS * size, replay.means.device
    # At equal distances along all chances end to end, each at random within its stretch: as even
    # as whole numbers allow.
    ends = chances.double().cumsum(0)
    places = (torch.arange(count) + torch.rand(count, generator=draws).double()) / count
    chosen = torch.searchsorted(ends, places.to(device) * ends[-1]).clamp_max(len(ends) - 1)
    chosen = chosen[torch.randperm(count, generator=draws).to(device)]
    weights = settings.old_weight * replay.weights[chosen] / (size * chances[chosen])
    return Bank(Rows(replay.points(chosen, draws), replay.labels[chosen], weights), size)


def chances_of(replay: ReplaySource, old: OldClasses, new: NewClasses) -> Tensor:
    """Return each component's chance to be sampled, (K,), summing to 1.

    One half goes to all classes alike, so that no prototype weighs more than twice what it would if
    all did; the other to what the new classes, as they are before training, take of the softmax at
    a component's mean, seen beside its own class alone. Old classes far from all new ones give next
    to no gradient.
    """
    means = Rows(normalize(replay.means, dim=-1), replay.labels, replay.weights)
    taken = []
    for portion in portions(means, [] if new.memory is None else [new.memory], cells=None):
        logits = means.features.new_empty(len(portion.labels), len(new.anchors))
        put_new_logits(logits, portion.features, new)
        gap = logits.logsumexp(dim=1) - own_logits(portion, old)
        taken.append(portion.weights * gap.sigmoid())
    near = torch.cat(taken)
    near = near / near.sum().clamp_min(torch.finfo(near.dtype).tiny)
    mixed = _ALIKE * replay.weights / replay.classes + (1 - _ALIKE) * near
    return mixed / mixed.sum()
