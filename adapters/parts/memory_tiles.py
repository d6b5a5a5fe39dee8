"""Memory tiles: the memory vectors of many records, scored tile by tile.

A tile holds the vectors of a fixed number of classes, M for each; product, exponential and sum of a
tile are done while it is in the cache, so that no matrix of images by vectors is ever in memory.

Shapes: N images · D feature width · C classes of a record · M vectors of a class · T classes of a
tile
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from adapters.contract.memory_format import MemoryFormat
from adapters.contract.tiles import columns_of, copied, numbers_of, room_for
from adapters.parts.memory_rows import MemoryRows, memory_rows

ROWS: Mapping[MemoryFormat, int] = {"float32": 2048, "bfloat16": 4096}
"""Of a tile: four megabytes of width 512, which one more record copies."""

AT_ONCE: Mapping[MemoryFormat, int] = {"float32": 128, "bfloat16": 64}
"""Images times tiles whose exponents are in memory together: a megabyte."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClassRows:
    """The memory of one record as tiles take it.

    Attributes:
        padded: (C, M, D) float32, zero where a class has no vector.
        beta: What vectors are multiplied by.
        bias: (C, M) float32, minus beta, or minus infinity there; None where each class has M.
    """

    padded: Tensor
    beta: float
    bias: Tensor | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Open:
    """The last tile as long as classes are added to it.

    Attributes:
        rows: (M, T, D) float32; anything where there is no class yet, until a tile is made of it.
        bias: (M, T) float32; minus infinity there.
    """

    rows: Tensor
    bias: Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class MemoryTiles:
    """The memory of many classes with M vectors each. Immutable.

    Attributes:
        vectors: M.
        kept: The format of the rows.
        classes: How many classes there are.
        tiles: Their rows; only the last one may have room.
        room: The last tile's rows as they came, where it has room.
    """

    vectors: int
    kept: MemoryFormat
    classes: int = 0
    tiles: tuple[MemoryRows, ...] = ()
    room: _Open | None = None

    @property
    def size(self) -> int:
        """T."""
        return max(ROWS[self.kept] // self.vectors, 1)

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        room = self.room
        beside = room.rows.nbytes + room.bias.nbytes if room and self.kept != "float32" else 0
        return sum(tile.nbytes for tile in self.tiles) + beside

    def extended(self, blocks: Iterable[ClassRows]) -> "MemoryTiles":
        """Return these and the classes of `blocks`; of what is there the last tile is copied."""
        growing = GrowingTiles(self)
        for block in blocks:
            growing.add(block)
        return growing.grown()

    def logits(self, features: Tensor, ranges: Sequence[range]) -> Tensor:
        """Return sums of exp(bias + row . x) over the vectors of the classes in `ranges`.

        Args:
            features: (N, D) float32, unit rows, on the tiles' device.
            ranges: Of classes; not empty.

        Returns:
            (N, classes in `ranges`) float32. A class's sums do not depend on other classes.
        """
        parts = [
            torch.cat(self._columns(some, ranges), dim=1)
            for some in torch.split(features, AT_ONCE[self.kept])
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _columns(self, features: Tensor, ranges: Sequence[range]) -> list[Tensor]:
        prepared = self.tiles[0].prepared(features)
        numbers, sums = numbers_of(ranges, size=self.size), dict[int, Tensor]()
        at_once = max(AT_ONCE[self.kept] // max(len(features), 1), 1)
        for start in range(0, len(numbers), at_once):
            some = numbers[start : start + at_once]
            sums |= zip(some, self._sums(prepared, some), strict=True)
        return list(columns_of(ranges, size=self.size, tile=sums.__getitem__))

    def _sums(self, prepared: Tensor, numbers: Sequence[int]) -> Tensor:
        """Return the sums of some tiles, (tiles, N, T)."""
        exponents = [self.tiles[number].exponents(prepared) for number in numbers]
        together = exponents[0] if len(exponents) == 1 else _stacked(exponents)
        shape = (len(numbers), len(prepared), self.vectors, self.size)
        return together.exp_().view(shape).sum(dim=2)


class GrowingTiles:
    """Tiles that classes are added to, one record after the other.

    Args:
        before: What is there; its last tile is copied where it has room.
    """

    def __init__(self, before: MemoryTiles) -> None:
        self._before = before
        self._full = list(before.tiles[:-1] if before.room else before.tiles)
        room = before.room
        self._room = room and _Open(rows=copied(room.rows), bias=room.bias.clone())
        self._spare: _Open | None = None
        self._scratch: Tensor | None = None
        self._classes = before.classes

    @property
    def classes(self) -> int:
        """How many classes there are by now."""
        return self._classes

    def add(self, block: ClassRows) -> None:
        """Copy the classes of `block`."""
        size, taken = self._before.size, 0
        while taken < block.padded.shape[0]:
            room = self._room = self._room or self._empty(block)
            first = self._classes % size
            count = min(size - first, block.padded.shape[0] - taken)
            _fill(room, block, slice(first, first + count), slice(taken, taken + count))
            taken, self._classes = taken + count, self._classes + count
            if self._classes % size == 0:
                self._full.append(self._closed(room, size))
                if self._before.kept != "float32":  # of which the tile has copied the rows
                    self._spare = room
                self._room = None

    def grown(self) -> MemoryTiles:
        """Return what was there and what was added."""
        tiles = list(self._full)
        if self._room is not None:
            tiles.append(self._closed(self._room, self._classes % self._before.size))
        return replace(self._before, classes=self._classes, tiles=tuple(tiles), room=self._room)

    def _empty(self, like: ClassRows) -> _Open:
        vectors, size, padded = self._before.vectors, self._before.size, like.padded
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.bias.fill_(-torch.inf)
            return spare
        return _Open(
            rows=room_for((vectors, size, padded.shape[2]), padded.dtype, padded.device),
            bias=padded.new_full((vectors, size), -torch.inf),
        )

    def _closed(self, room: _Open, classes: int) -> MemoryRows:
        """Return the rows of a tile that holds so many classes; behind them it is made zero."""
        room.rows[:, classes:].zero_()
        rows, kept = room.rows.flatten(0, 1), self._before.kept
        if kept != "float32" and self._scratch is None:
            # Once for all tiles: small tensors that stay would settle where it was let go.
            self._scratch = torch.empty_like(rows, dtype=torch.bfloat16)
        return memory_rows(rows, room.bias.flatten(), kept=kept, scratch=self._scratch)


def _stacked(exponents: list[Tensor]) -> Tensor:
    """Return (N, B) tensors as one (tiles, N, B), in the order of memory that they have."""
    if exponents[0].is_contiguous():
        return torch.stack(exponents)
    return torch.stack([some.t() for some in exponents]).transpose(1, 2)


def _fill(room: _Open, block: ClassRows, places: slice, classes: slice) -> None:
    """Write `classes` of `block` into `places` of a tile."""
    torch.mul(block.padded[classes].transpose(0, 1), block.beta, out=room.rows[:, places])
    room.bias[:, places] = -block.beta if block.bias is None else block.bias[classes].t()
