"""The inference rule: text logits and a method's scores become one prediction.

The rule, for text logits z over seen and unseen classes (the cosine times the logit scale):

    s = argmax z
    s unseen:  the prediction is s, whatever the method says
    s seen:    the prediction is the argmax of the method's scores over the seen classes

For LADA the scores are z + alpha * a with a of Eq. 6. Ties go to the first column, records in their
order and unseen classes last. Classes with one and the same anchor get one and the same text logit,
so that rounding cannot decide between them.

Shapes: N images · D feature width · S seen classes · U unseen classes · C classes of one group
"""

import copy
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from itertools import islice
from typing import NamedTuple, Self

import torch
from torch import Tensor

from adapters.contract.tiles import columns_of, copied, merged, room_for

ROWS = 1024
"""Of a tile of anchors."""

_Steps = tuple[Tensor | list[range], ...]
"""Rows that are a product of their own, and ranges of tiles."""


class AnchorRows(NamedTuple):
    """Anchors that enter one product.

    Attributes:
        rows: (C, D), unit rows.
        keys: C digests; equal rows have equal digests.
        tiled: Which rows of the tiles they are; None where they are a product of their own.
    """

    rows: Tensor
    keys: tuple[bytes, ...]
    tiled: range | None = None

    @classmethod
    def of(cls, rows: Tensor) -> Self:
        """Return `rows` with their digests."""
        return cls.each([rows])[0]

    @classmethod
    def each(cls, groups: Sequence[Tensor]) -> list[Self]:
        """Return several groups with their digests."""
        if not groups:
            return []
        # From a device all of them come at once; here they are read where they lie.
        here = all(rows.device.type == "cpu" for rows in groups)
        stored = groups if here else [torch.cat(list(groups)).cpu()]
        plain = (rows.detach().contiguous().numpy() for rows in stored)
        digests = (hashlib.sha256(row).digest() for rows in plain for row in rows)
        return [cls(rows, tuple(islice(digests, rows.shape[0]))) for rows in groups]

    def to(self, device: torch.device) -> Self:
        """Return the same on `device`."""
        return self._replace(rows=self.rows.to(device))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AnchorTiles:
    """Anchors of many records in tiles. Immutable.

    Attributes:
        count: How many there are.
        tiles: (`ROWS`, D) each, filled in order; zero where there is no anchor yet.
    """

    count: int = 0
    tiles: tuple[Tensor, ...] = ()

    def extended(self, groups: Sequence[Tensor]) -> Self:
        """Return these and the rows of `groups`; of what is there the last tile is copied."""
        tiles, count = list(self.tiles), self.count
        if count % ROWS:
            tiles[-1] = copied(tiles[-1])
        for rows in groups:
            taken = 0
            while taken < rows.shape[0]:
                first = count % ROWS
                if first == 0:
                    tiles.append(room_for((ROWS, rows.shape[1]), rows.dtype, rows.device))
                part = rows[taken : taken + ROWS - first]
                tiles[-1][first : first + part.shape[0]] = part
                taken, count = taken + part.shape[0], count + part.shape[0]
        if count % ROWS:
            tiles[-1][count % ROWS :].zero_()
        return replace(self, count=count, tiles=tuple(tiles))

    def products(self, features: Tensor, ranges: Sequence[range]) -> Iterator[Tensor]:
        """Yield features times the anchors in `ranges`, piece by piece."""
        return columns_of(ranges, size=ROWS, tile=lambda number: features @ self.tiles[number].t())


class Anchors:
    """Groups of anchors side by side, and the column that each class's logit is read from.

    A class whose anchor was there before takes the earlier one's logit. Immutable.

    Args:
        groups: In the order of the columns.
        tiles: What those have that are no products of their own.
    """

    def __init__(self, groups: Sequence[AnchorRows], tiles: AnchorTiles | None = None) -> None:
        self._groups = tuple(groups)
        self._tiles = tiles or AnchorTiles()
        self._first: dict[bytes, int] = {}
        keys = (key for group in groups for key in group.keys)
        self._sources = [self._first.setdefault(key, column) for column, key in enumerate(keys)]

    def with_group(self, group: AnchorRows, tiles: AnchorTiles | None = None) -> Self:
        """Return these and one more group, and `tiles` where these have grown with it."""
        extended = copy.copy(self)
        extended.__dict__.pop("_columns", None)
        if "_steps" in self.__dict__:
            extended.__dict__["_steps"] = _with_step(self._steps, group)
        extended._groups = (*self._groups, group)
        extended._tiles = tiles or self._tiles
        extended._first = dict(self._first)
        extended._sources = list(self._sources)
        for column, key in enumerate(group.keys, len(self._sources)):
            extended._sources.append(extended._first.setdefault(key, column))
        return extended

    def logits(self, features: Tensor, *, scale: float) -> Tensor:
        """Return scale * cosine for every anchor, (N, S + U).

        Every group is a product of its own or in tiles of a fixed shape, so that a group's logits
        do not depend on the others.
        """
        if not self._groups:
            return features.new_zeros(len(features), 0)
        logits = torch.cat(list(self._products(features)), dim=1).mul_(scale)
        if len(self._first) == len(self._sources):
            return logits
        return logits[:, self._columns.to(logits.device)]

    def _products(self, features: Tensor) -> Iterator[Tensor]:
        for step in self._steps:
            if isinstance(step, Tensor):
                yield features @ step.t()
            else:
                yield from self._tiles.products(features, step)

    @cached_property
    def _steps(self) -> _Steps:
        """Rows that are a product of their own, and ranges of tiles, in the order of columns."""
        return reduce(_with_step, self._groups, ())

    @cached_property
    def _columns(self) -> Tensor:
        return torch.tensor(self._sources)


def _with_step(steps: _Steps, group: AnchorRows) -> _Steps:
    """Return `steps`, and what gives the logits of one more group."""
    if group.tiled is None:
        return (*steps, group.rows)
    if steps and isinstance(steps[-1], list):
        return (*steps[:-1], merged([*steps[-1], group.tiled]))
    return (*steps, [group.tiled])


def combined(text: Tensor, scores: Tensor) -> Tensor:
    """Return the scores of the rule above.

    Args:
        text: (N, S + U), text logits, seen classes first.
        scores: (N, S), the method's scores over the seen classes.

    Returns:
        (N, S + U): the text logits where an unseen class has the highest; elsewhere the scores, and
        minus infinity for the unseen classes.
    """
    seen = scores.shape[1]
    if text.shape[1] == seen:
        return scores
    wins = (text.argmax(dim=1) >= seen)[:, None]
    beside = torch.where(wins, text[:, seen:], -torch.inf)
    return torch.cat([torch.where(wins, text[:, :seen], scores), beside], dim=1)
