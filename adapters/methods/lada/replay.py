"""Generative replay: points of old classes, drawn from their mixtures at every training step.

Shapes: C old classes · K mixture components of all old classes together · D feature width
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.mixture import Mixture


class Prototypes(NamedTuple):
    """Points that stand for old classes at one step.

    Attributes:
        features: (P, D), unit rows.
        labels: (P,) int64, columns of the old classes.
        weights: (P,), summing to 1 over the prototypes of one replayed class.
    """

    features: Tensor
    labels: Tensor
    weights: Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ReplaySource:
    """The mixtures of all old classes, end to end.

    Attributes:
        weights: (K,), summing to 1 per class.
        means: (K, D).
        deviations: (K,), sqrt(Tr(Sigma) / D).
        labels: (K,) int64, sorted.
        classes: C.
    """

    weights: Tensor
    means: Tensor
    deviations: Tensor
    labels: Tensor
    classes: int

    @classmethod
    def of(cls, mixtures: Sequence[Mixture], *, width: int) -> Self:
        """Return the source that replays one class per mixture, in their order.

        Args:
            mixtures: One per old class; may be none.
            width: D.
        """
        counts = torch.tensor([len(mixture.weights) for mixture in mixtures], dtype=torch.int64)
        variances = torch.cat([torch.zeros(0), *(mixture.variances for mixture in mixtures)])
        return cls(
            weights=torch.cat([torch.zeros(0), *(mixture.weights for mixture in mixtures)]),
            means=torch.cat([torch.zeros(0, width), *(mixture.means for mixture in mixtures)]),
            deviations=variances.sqrt(),
            labels=torch.repeat_interleave(torch.arange(len(mixtures)), counts),
            classes=len(mixtures),
        )

    def centres(self) -> Self:
        """Return the source that always gives the means themselves (Eq. 8)."""
        return replace(self, deviations=torch.zeros_like(self.deviations))

    def to(self, device: torch.device) -> Self:
        """Return the same source with its tensors on `device`."""
        return self._mapped(lambda tensor: tensor.to(device))

    def of_classes(self, chosen: Tensor) -> Self:
        """Return the source of the classes `chosen`, (c,) int64; labels stay what they are."""
        kept = torch.isin(self.labels, chosen.to(self.labels.device))
        return self._mapped(lambda tensor: tensor[kept])

    def draw(self, generator: torch.Generator) -> Prototypes:
        """Return one fresh prototype per component, p + e sqrt(Tr(Sigma) / D), normalised.

        Args:
            generator: A CPU generator; noise is drawn there whatever the device, so that a seed
                means the same everywhere.
        """
        points = self.points(torch.arange(len(self.labels)), generator)
        return Prototypes(points, self.labels, self.weights)

    def points(self, components: Tensor, generator: torch.Generator) -> Tensor:
        """Return a fresh prototype for each of `components`, (n,) int64, as (n, D) unit rows."""
        shape = len(components), self.means.shape[1]
        noise = torch.randn(shape, generator=generator, dtype=self.means.dtype)
        deviations, means = self.deviations[components, None], self.means[components]
        points = noise.to(self.means.device).mul_(deviations).add_(means)
        return normalize(points, dim=-1)

    def _mapped(self, change: Callable[[Tensor], Tensor]) -> Self:
        return replace(
            self,
            weights=change(self.weights),
            means=change(self.means),
            deviations=change(self.deviations),
            labels=change(self.labels),
        )
