"""Measured images: a task's features before and after the image phase, a batch in each step.

Shapes: N images · D feature width
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from adapters.contract.records import diverged
from adapters.methods.dmc.image_phase import ImagePhase
from adapters.methods.dmc.targets import Targets

_AT_ONCE = 64


class MeasuredImages:
    """Features of all images of a task under the test view, as far as they are measured.

    Attributes:
        paired: Whether the features before are kept as well.
        total_steps: A step for every batch.

    Args:
        phase: Reads images before and after.
        targets: Labels of the images.
        paired: See the attribute.
    """

    # Owns: `_before` and `_after`, which grow a batch at a time.

    def __init__(self, phase: ImagePhase, targets: Targets, *, paired: bool) -> None:
        self._phase, self._targets, self.paired = phase, targets, paired
        self._before: list[Tensor] = []
        self._after: list[Tensor] = []
        self.total_steps = -(-len(targets.labels) // _AT_ONCE)

    @property
    def before(self) -> Tensor:
        """The features through the last version's tower, (N, D) float32 on the CPU."""
        return torch.cat(self._before)

    @property
    def after(self) -> Tensor:
        """The features through the new tower, (N, D) float32 on the CPU."""
        return torch.cat(self._after)

    def advance(self, step: int) -> float:
        """Measure batch `step`, counted from 0; return its loss with the frozen text features.

        Raises:
            FeatureError: features are not finite: no map is fitted to them, and nothing replayed.
        """
        start = step * _AT_ONCE
        places = torch.arange(start, min(start + _AT_ONCE, len(self._targets.labels)))
        before, after = self._phase.measured(places)
        if not after.isfinite().all():
            raise diverged("image side of DMC", "features")
        if self.paired:
            self._before.append(before.cpu())
        self._after.append(after.cpu())
        logits, labels = self._targets.logits(after, places)
        return float(torch.nn.functional.cross_entropy(logits, labels))

    def finish(self) -> None:
        """Measure what is left."""
        for step in range(len(self._after), self.total_steps):
            self.advance(step)

    def state(self) -> Mapping[str, Tensor]:
        """Return what has been measured; nothing before the first step."""
        kept = {"before": self._before, "after": self._after}
        return {name: torch.cat(rows) for name, rows in kept.items() if rows}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `state` returned."""
        kept = {"before": self._before, "after": self._after}
        for name, rows in kept.items():
            rows[:] = torch.split(tensors[name], _AT_ONCE) if name in tensors else []
