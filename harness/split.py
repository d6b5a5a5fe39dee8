"""A split: how one image set is divided into tasks by its classes.

As the toolboxes of class-incremental learning do it, the order of the classes is numpy's legacy
permutation under a seed, 1993 in most papers, or the order in which the set has them.
"""

from dataclasses import dataclass
from typing import Annotated

from numpy.random import RandomState
from pydantic import Field

from adapters.errors import SettingsError

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """How every set of a suite is divided.

    Attributes:
        classes: Of every task.
        seed: Of the permutation of a set's classes; None for their own order.
        first: Classes of the first task; as many as the others have unless it is said.
    """

    classes: Count
    seed: Seed | None = None
    first: Count | None = None

    def parts(self, count: int, *, of: str) -> list[list[int]]:
        """Return the classes of each task, as indices into the `count` classes of a set.

        Args:
            count: How many classes the set has.
            of: Its name, for errors.

        Raises:
            SettingsError: they cannot be divided without a rest.
        """
        first = self.first or self.classes
        if count < first or (count - first) % self.classes:
            raise SettingsError(
                f"split: expected the {count} classes of {of} in tasks of {self._wanted}, found "
                f"{self._rest(count)}; set `classes` or `first` to what divides {count}",
                expected=count,
                found=self.classes,
            )
        order = class_order(count, seed=self.seed)
        starts = [0, *range(first, count, self.classes)]
        return [order[at:end] for at, end in zip(starts, [*starts[1:], count], strict=True)]

    @property
    def _wanted(self) -> str:
        more = "" if self.first is None else f" after a first of {self.first}"
        return f"{self.classes}{more}"

    def _rest(self, count: int) -> str:
        first = self.first or self.classes
        if count < first:
            return f"fewer than the {first} of the first task"
        return f"{(count - first) % self.classes} left over"


def class_order(count: int, *, seed: int | None) -> list[int]:
    """Return the order of `count` classes under a seed; None for 0, 1, 2 and on.

    The same as `np.random.seed(seed); np.random.permutation(count)`, with which published code
    (PILOT, CL-LoRA, C3Box) makes it; numpy promises that this generator's numbers never change.
    """
    if seed is None:
        return list(range(count))
    order: list[int] = RandomState(seed).permutation(count).tolist()
    return order
