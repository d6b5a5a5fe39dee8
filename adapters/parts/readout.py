"""Linear readout: classifiers solved for all records at once and applied record by record.

Shapes: N images · L width of what is read · C classes of a record · S classes asked for
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

from adapters.contract.records import Record

Fusion = Literal[
    "text",  # the method's own scores beside the text logits
    "alone",  # the method's own scores decide between seen classes
]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Readout:
    """Weights and biases of every record's classes.

    Attributes:
        weights: (C, L) float32 per record.
        biases: (C,) float32 per record.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    @classmethod
    def of(cls, weights: Tensor, biases: Tensor, *, sizes: Sequence[int]) -> Self:
        """Return the readout of all classes, cut into records.

        Args:
            weights: (sum of classes, L), of any dtype.
            biases: (sum of classes,).
            sizes: How many classes each record has.
        """
        return cls(
            weights=tuple(part.clone() for part in torch.split(weights.float(), list(sizes))),
            biases=tuple(part.clone() for part in torch.split(biases.float(), list(sizes))),
        )

    def scores(self, mapped: Tensor, positions: Sequence[int]) -> Tensor:
        """Return the scores of the records at `positions`, side by side.

        Every record is a product of its own, so that its columns do not depend on `positions`.

        Args:
            mapped: (N, L).
            positions: Which records, in ascending order.

        Returns:
            (N, S).
        """
        columns = [
            torch.addmm(self.biases[position], mapped, self.weights[position].t())
            for position in positions
        ]
        return torch.cat(columns, dim=1) if columns else mapped.new_zeros(len(mapped), 0)


def columns_at(positions: Sequence[int], records: Sequence[Record]) -> Tensor:
    """Return the columns of the records at `positions` among those of all `records`, (S,) int64."""
    ends = torch.tensor([0, *class_counts(records)]).cumsum(0).tolist()
    columns = [column for place in positions for column in range(ends[place], ends[place + 1])]
    return torch.tensor(columns, dtype=torch.int64)


def class_counts(records: Sequence[Record]) -> list[int]:
    """Return how many classes each record has."""
    return [len(record.classes) for record in records]
