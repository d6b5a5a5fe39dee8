"""LADA's label-specific memory: its initialisation and its logits (Eq. 5 and 6).

A class may have fewer memory vectors than others. In records its rows are compact; in products they
are padded to M rows per class whose affinity is zero, because equal rows turn the sum over a class
into a plain reduction.

Shapes: N images · D feature width · C classes · M memory vectors per class, the most any class has
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from adapters.contract.randomness import derived_seed
from adapters.contract.task_features import TaskFeatures
from adapters.parts.products import FEW, products_of_few


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MemoryBlock:
    """The memory vectors of C classes, ready for products.

    Rows lie vector by vector and then class by class, so that the sum over a class's vectors runs
    over whole rows of classes.

    Attributes:
        rows: (M * C, D), row l * C + j is vector l of class j times its beta, or zero.
        bias: (M * C,), minus beta, or minus infinity where class j has no vector l.
        classes: C.
    """

    rows: Tensor
    bias: Tensor
    classes: int

    @property
    def vectors(self) -> int:
        """M."""
        return len(self.rows) // self.classes

    @classmethod
    def of(cls, memory: Tensor, offsets: Tensor, *, beta: float) -> Self:
        """Return the block of `memory`, rows grouped by class.

        Args:
            memory: (sum of vectors, D), class j's rows from offsets[j] to offsets[j + 1].
            offsets: (C + 1,) int64, starting at 0.
            beta: Sharpness, Eq. 6.
        """
        padded, present = padded_memory(memory, offsets)
        bias = memory.new_full(present.shape, -torch.inf).masked_fill(present, -beta)
        return cls(
            rows=(beta * padded).transpose(0, 1).reshape(-1, memory.shape[1]),
            bias=bias.t().reshape(-1),
            classes=padded.shape[0],
        )

    def to(self, device: torch.device, dtype: torch.dtype) -> Self:
        """Return the same block on `device`, its products in `dtype`."""
        return replace(self, rows=self.rows.to(device, dtype), bias=self.bias.to(device, dtype))

    def logits(self, features: Tensor) -> Tensor:
        """Return LADA's logits (Eq. 6): sum over a class's vectors of exp(-beta (1 - w . x)).

        Args:
            features: (N, D), unit rows, on the rows' device.

        Returns:
            (N, C). A class's logits do not depend on other blocks, and on other classes of the
            block only through the product's rounding.
        """
        affinities = self.affinities(features)
        if affinities.dtype == features.dtype:  # naming it would take longer than a small sum
            return affinities.sum(dim=1)
        return affinities.sum(dim=1, dtype=features.dtype)

    def own_logits(self, features: Tensor, labels: Tensor) -> Tensor:
        """Return the logit of one class for each row, (N,).

        Args:
            features: (N, D), as for `logits`.
            labels: (N,) int64, which class.
        """
        places = labels + self.classes * torch.arange(self.vectors, device=labels.device)[:, None]
        products = torch.einsum("nd,mnd->mn", features.to(self.rows.dtype), self.rows[places])
        return (products + self.bias[places]).exp_().sum(dim=0, dtype=features.dtype)

    def affinities(self, features: Tensor) -> Tensor:
        """Return exp(-beta (1 - w . x)) for every vector, (N, M, C)."""
        images = features.to(self.rows.dtype)
        if len(features) < FEW:
            exponents = products_of_few(self.bias, self.rows, images)
        else:
            exponents = torch.addmm(self.bias, images, self.rows.t())
        return exponents.exp_().view(len(features), self.vectors, self.classes)


def padded_memory(memory: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Return `memory` with M rows for every class, and which of them are real.

    Args:
        memory: (sum of vectors, D), rows grouped by class.
        offsets: (C + 1,) int64.

    Returns:
        padded: (C, M, D), zero where a class has no vector.
        present: (C, M) bool.
    """
    counts = offsets.diff()
    most = int(counts.max()) if counts.numel() else 0
    present = torch.arange(most, device=memory.device) < counts[:, None].to(memory.device)
    if len(memory) == counts.numel() * most:
        return memory.reshape(counts.numel(), most, memory.shape[1]), present
    padded = memory.new_zeros(counts.numel(), most, memory.shape[1])
    padded[present] = memory
    return padded, present


class TrainableMemory:
    """The memory of the classes being learnt: one parameter in the layout of `MemoryBlock`.

    Args:
        memory: (sum of vectors, D) float32, rows grouped by class.
        offsets: (C + 1,) int64.
        beta: Sharpness, Eq. 6.
        dtype: Of the products.
        device: Where they run.
    """

    def __init__(
        self,
        memory: Tensor,
        offsets: Tensor,
        *,
        beta: float,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self._offsets, self._beta, self._dtype = offsets, beta, dtype
        padded, self._present = padded_memory(memory, offsets)
        self._rows = torch.nn.Parameter(
            padded.transpose(0, 1).reshape(-1, memory.shape[1]).to(device)
        )
        bias = torch.where(self._present, -beta, -torch.inf)
        self._bias = bias.t().reshape(-1).to(device, dtype)

    def named(self) -> Mapping[str, torch.nn.Parameter]:
        """Return the parameter by name; nothing where no class has memory."""
        return {"memory": self._rows} if len(self._rows) else {}

    def block(self) -> MemoryBlock | None:
        """Return the memory at its present values, None where no class has memory."""
        if not len(self._rows):
            return None
        rows = self._rows.detach()
        scaled = rows if self._beta == 1 else self._beta * rows
        return MemoryBlock(rows=scaled.to(self._dtype), bias=self._bias, classes=len(self._present))

    def take_gradient(self, gradient: Tensor) -> None:
        """Set the parameter's gradient from that of `block().rows`."""
        self._rows.grad = gradient if self._beta == 1 else self._beta * gradient

    def compact(self) -> tuple[Tensor, Tensor]:
        """Return a copy of the memory, (sum of vectors, D) grouped by class, and its offsets."""
        classes, most = self._present.shape
        by_vector = self._rows.detach().cpu().view(most, classes, self._rows.shape[1])
        return by_vector.transpose(0, 1)[self._present].contiguous(), self._offsets


def initial_memory(task: TaskFeatures, *, vectors: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the memory before training: the k-means centres of every class (Eq. 5).

    The centres are not normalised. A class with no more images than `vectors` keeps its features
    themselves, so that LADA is then the Tip-Adapter cache. Fewer distinct images than `vectors`
    among more images are repeated, which keeps the class's weight.

    Args:
        task: The task.
        vectors: Vectors per class, lambda1; 0 gives an empty memory.
        seed: Every class draws from its own seed, derived from this and its id.

    Returns:
        memory: (sum of vectors, D) float32, rows grouped by class.
        offsets: (C + 1,) int64.
    """
    if vectors == 0:
        return torch.zeros(0, task.width), torch.zeros(len(task.classes) + 1, dtype=torch.int64)
    centres = [
        class_centres(task.of_class(index), vectors, derived_seed(seed, "k-means", entry.class_id))
        for index, entry in enumerate(task.classes)
    ]
    return torch.cat(centres), grouped_offsets([len(rows) for rows in centres])


def class_centres(class_features: Tensor, vectors: int, seed: int) -> Tensor:
    """Return at most `vectors` centres of one class's features.

    Args:
        class_features: (n, D) float32.
        vectors: lambda1, at least 1.
        seed: In [0, 2**32).

    Returns:
        (min(n, vectors), D) float32, on the CPU.
    """
    points = class_features.detach().cpu().float()
    if len(points) <= vectors:
        return points.clone()
    distinct: Tensor = torch.unique(points, dim=0)
    if len(distinct) <= vectors:
        return distinct[torch.arange(vectors) % len(distinct)]
    from sklearn.cluster import KMeans

    model = KMeans(vectors, n_init=10, random_state=seed).fit(points.double().numpy())
    return torch.tensor(model.cluster_centers_, dtype=torch.float32)


def grouped_offsets(counts: list[int]) -> Tensor:
    """Return where each group of rows begins and the last one ends, (groups + 1,) int64."""
    return torch.tensor([0, *counts], dtype=torch.int64).cumsum(0)
