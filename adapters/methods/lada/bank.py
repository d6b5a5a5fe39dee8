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

from adapters.contract.randomness import generator
from adapters.methods.lada.replay import ReplaySource
from adapters.methods.lada.settings import LadaSettings
from adapters.methods.lada.softmax import Rows

DRAWS = 4
"""Draws of every component in a bank of all classes; step s takes draw s modulo this."""

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


def drawn_bank(replay: ReplaySource, *, settings: LadaSettings, seed: int) -> Bank:
    """Return a bank whose rows are not scored yet.

    Args:
        replay: The old classes' mixtures; without any the bank is empty.
        settings: Which bank, and the weight of an old class.
        seed: Names the draws: "bank" and their number, or "bank" and "sample".
    """
    if len(replay.labels) == 0 or settings.replay_bank == "all":
        return _full_bank(replay, settings=settings, seed=seed)
    return _sampled_bank(replay, settings=settings, seed=seed)


def _full_bank(replay: ReplaySource, *, settings: LadaSettings, seed: int) -> Bank:
    """Return 4 draws of every component; a step takes one draw of all."""
    draws = [replay.draw(generator(seed, "bank", number)) for number in range(DRAWS)]
    features = torch.cat([each.features for each in draws])
    weights = (replay.weights * settings.old_weight).repeat(DRAWS)
    return Bank(Rows(features, replay.labels.repeat(DRAWS), weights), len(replay.labels))


def _sampled_bank(replay: ReplaySource, *, settings: LadaSettings, seed: int) -> Bank:
    """Return 8 R prototypes, classes alike and a class's components by their weights.

    A prototype stands for as many old classes as there are, over R: what a step's prototypes weigh
    in all is what all old classes would.
    """
    size, draws = settings.sampled_rows, generator(seed, "bank", "sample")
    count, device = PORTIONS * size, replay.means.device
    # At equal distances along all weights end to end, each at random within its stretch: no class
    # has two prototypes more than another.
    ends = replay.weights.double().cumsum(0)
    places = (torch.arange(count) + torch.rand(count, generator=draws).double()) / count
    chosen = torch.searchsorted(ends, places.to(device) * ends[-1]).clamp_max(len(ends) - 1)
    chosen = chosen[torch.randperm(count, generator=draws).to(device)]
    weight = settings.old_weight * replay.classes / size
    weights = torch.full((count,), weight, device=device)
    return Bank(Rows(replay.points(chosen, draws), replay.labels[chosen], weights), size)
