"""Class statistics: the Gaussian of every class of one task, where its features were measured.

The covariance is one for the task, with a scale per class, unless it is asked for per class: few
images make a class's own singular.

Shapes: N images · C classes · D feature width · n points
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from adapters.methods.dmc.calibration import AffineMap
from adapters.methods.dmc.gaussians import root, shrunk
from adapters.methods.dmc.settings import Covariance
from adapters.parts.statistics import VARIANCE_WITHOUT_SCATTER

_LEAST_SCALE, _MOST_SCALE = 0.25, 4.0
_CLASS_RIDGE = 1e-4
_NOTHING = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClassStatistics:
    """C Gaussians: class c has the mean m_c and the covariance s_c S.

    Attributes:
        means: (C, D) float64.
        scales: (C,) float64, s.
        covariance: S, (D, D) float64, or (C, D, D), one for each class.
    """

    means: Tensor
    scales: Tensor
    covariance: Tensor

    @classmethod
    def measured(
        cls, features: Tensor, labels: Tensor, *, kind: Covariance, shrinkage: float
    ) -> Self:
        """Return the statistics of images.

        Args:
            features: (N, D), unit rows.
            labels: (N,) int64; every class from 0 to the largest has an image.
            kind: Of the covariance.
            shrinkage: Of the covariance.
        """
        rows = features.double()
        counts = torch.bincount(labels)
        means = _sums(rows, labels, len(counts)) / counts[:, None]
        centred = rows - means[labels]
        if kind == "class":
            return cls(
                means=means,
                scales=torch.ones_like(means[:, 0]),
                covariance=_of_each_class(centred, labels, counts, shrinkage),
            )
        covariance = _unless_nothing(centred.t() @ centred / max(len(rows) - len(counts), 1))
        return cls(
            means=means,
            scales=_scales(centred, labels, counts, whole=float(covariance.trace())),
            covariance=shrunk(covariance, shrinkage),
        )

    def mapped(self, change: AffineMap) -> Self:
        """Return where `change` takes them; scales stay."""
        return type(self)(
            means=change(self.means), scales=self.scales, covariance=change.spread(self.covariance)
        )


class ClassReplay:
    """Points of old classes, drawn from their Gaussians.

    Args:
        statistics: Of each old task, in the order of the columns; at least one.
    """

    # Owns: nothing that changes.

    def __init__(self, statistics: Sequence[ClassStatistics]) -> None:
        self._means = torch.cat([each.means for each in statistics]).float()
        self._deviations = torch.cat([each.scales for each in statistics]).sqrt().float()
        self._roots = [root(each.covariance).float() for each in statistics]
        counts = torch.tensor([len(each.scales) for each in statistics])
        self._ends = [0, *counts.cumsum(0).tolist()]

    @property
    def classes(self) -> int:
        """How many old classes there are."""
        return len(self._means)

    def draw(self, count: int, *, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return points, (count, D) float32 unit rows, of classes (count,) drawn uniformly.

        Args:
            count: How many.
            generator: A CPU generator.
        """
        labels = torch.randint(self.classes, (count,), generator=generator)
        noise = torch.randn(count, self._means.shape[1], generator=generator)
        return normalize(self.points(labels, noise), dim=-1), labels

    def points(self, labels: Tensor, noise: Tensor) -> Tensor:
        """Return m_c + s_c^1/2 S^1/2 z, (n, D), before they are made unit.

        Args:
            labels: (n,) int64, c.
            noise: (n, D) float32, z.
        """
        spread = torch.empty_like(noise)
        for start, end, half in zip(self._ends[:-1], self._ends[1:], self._roots, strict=True):
            own = ((labels >= start) & (labels < end)).nonzero()[:, 0]
            if half.ndim == 2:
                spread[own] = noise[own] @ half
            else:
                spread[own] = (noise[own, None] @ half[labels[own] - start])[:, 0]
        return self._means[labels] + self._deviations[labels, None] * spread


def _sums(rows: Tensor, labels: Tensor, classes: int) -> Tensor:
    return one_hot(labels, classes).to(rows).t() @ rows


def _scales(centred: Tensor, labels: Tensor, counts: Tensor, *, whole: float) -> Tensor:
    """Return tr(S_c) / tr(S), clamped; 1 for a class of one image, which has no spread."""
    squares = _sums(centred.square().sum(dim=1, keepdim=True), labels, len(counts))[:, 0]
    scales = squares / (counts - 1).clamp(min=1) / whole
    return torch.where(counts > 1, scales.clamp(_LEAST_SCALE, _MOST_SCALE), 1.0)


def _of_each_class(centred: Tensor, labels: Tensor, counts: Tensor, shrinkage: float) -> Tensor:
    """Return the covariance of each class, shrunk, with a little of every direction."""
    ridge = _CLASS_RIDGE * torch.eye(centred.shape[1], dtype=torch.float64, device=centred.device)
    found = []
    for label, count in enumerate(counts.tolist()):
        own = centred[labels == label]
        found.append(shrunk(own.t() @ own / max(count - 1, 1), shrinkage) + ridge)
    return torch.stack(found)


def _unless_nothing(covariance: Tensor) -> Tensor:
    """Return `covariance`, or a small sphere where every class has one image, or equal ones."""
    if float(covariance.trace()) > _NOTHING:
        return covariance
    identity = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    return VARIANCE_WITHOUT_SCATTER * identity
