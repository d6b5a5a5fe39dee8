"""LADA's inference: text logits plus alpha times memory logits (Eq. 6).

Shapes: N images · D feature width · C classes of one record · M memory vectors of a class
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.memory_format import MemoryFormat
from adapters.contract.method import Query, Scorer
from adapters.contract.records import Record
from adapters.contract.rule import ROWS
from adapters.contract.tensor_blob import as_stored
from adapters.contract.tiles import OWN_PRODUCTS, merged, room_for
from adapters.methods.lada.memory import MemoryBlock, padded_memory
from adapters.methods.lada.record import checked_tensors
from adapters.methods.lada.settings import LadaSettings
from adapters.parts.latest import Latest
from adapters.parts.memory_tiles import ClassRows, GrowingTiles, MemoryTiles
from adapters.parts.once import once_per_record

TOGETHER = 16
"""Records of which all tensors are looked at before any is copied."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ScoredClasses:
    """One record's part of the classifier.

    Attributes:
        anchors: (C, D), unit rows.
        alpha: The factor of the memory logits.
        memory: Its memory block, where it is a product of its own.
        vectors: M, where its classes are in tiles.
        tiled: Which classes of these tiles are its own; none without memory.
    """

    anchors: Tensor
    alpha: float
    memory: MemoryBlock | None = None
    vectors: int = 0
    tiled: range = range(0)


class _OwnProducts(NamedTuple):
    """Blocks of records that follow one another, where their logits go, and alpha of all."""

    blocks: tuple[MemoryBlock, ...]
    columns: range
    alpha: float

    def followed(self, block: MemoryBlock) -> Self:
        """Return these and the block of the next record, of the same alpha."""
        columns = range(self.columns.start, self.columns.stop + block.classes)
        return self._replace(blocks=(*self.blocks, block), columns=columns)


class _TiledColumns(NamedTuple):
    """Classes of one group of tiles, and where their logits go.

    Attributes:
        vectors: Of the tiles.
        ranges: Of their classes.
        columns: (C,) int64, or a slice where they follow one another.
        alpha: Of all, or (C,).
    """

    vectors: int
    ranges: list[range]
    columns: slice | Tensor
    alpha: float | Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Plan:
    """What is computed for some records.

    Attributes:
        own: Their own products.
        tiled: What is in tiles.
    """

    own: list[_OwnProducts]
    tiled: list[_TiledColumns]


class LadaScorer(Scorer):
    """Text logits plus alpha times LADA logits.

    The first records are products of their own, of a shape that later records do not change; the
    rest are in tiles of fixed shapes. So the logits of old classes stay the same bit for bit,
    however many records follow.

    Args:
        parts: Of all records, oldest first.
        tiles: By their number of vectors.
        kept: How memory is kept; in another format than that of records all of it is in tiles.
    """

    def __init__(
        self,
        parts: tuple[ScoredClasses, ...] = (),
        tiles: Mapping[int, MemoryTiles] | None = None,
        *,
        kept: MemoryFormat = "float32",
    ) -> None:
        self._parts, self._tiles, self._kept = parts, dict(tiles or {}), kept
        self._plan = Latest[tuple[int, ...], _Plan]()

    @classmethod
    def of(cls, records: Sequence[Record], *, kept: MemoryFormat) -> Self:
        """Return the scorer of `records`, oldest first, with memory in the format `kept`."""
        return cls(kept=kept)._with(records)

    def extended(self, record: Record) -> Self:
        return self._with([record])

    def extended_by(self, records: Iterable[Record]) -> Self:
        return self._with(records)

    @property
    def nbytes(self) -> int:
        """Bytes in memory of anchors and memory vectors."""
        parts = (
            part.anchors.nbytes + (part.memory.rows.nbytes if part.memory else 0)
            for part in self._parts
        )
        return sum(parts) + sum(tiles.nbytes for tiles in self._tiles.values())

    def anchors(self, position: int) -> Tensor:
        return self._parts[position].anchors

    def scores(self, query: Query) -> Tensor:
        scores, features = query.text_logits.clone(), query.features
        plan = self._plan.of(tuple(query.positions), self._planned)
        for own in plan.own:
            logits = torch.cat([block.logits(features) for block in own.blocks], dim=1)
            scores[:, own.columns.start : own.columns.stop].add_(logits, alpha=own.alpha)
        for tiled in plan.tiled:
            logits = self._tiles[tiled.vectors].logits(features, tiled.ranges)
            logits *= tiled.alpha
            if isinstance(tiled.columns, slice):
                scores[:, tiled.columns] += logits
            else:
                scores.index_add_(1, tiled.columns, logits)
        return scores

    def _with(self, records: Iterable[Record]) -> Self:
        """Return a scorer of `records` too; of the tiles only the last ones are copied.

        Of a record no tensors are asked for any more when the next ones are.
        """
        own = max(OWN_PRODUCTS - len(self._parts), 0) if self._kept == "float32" else 0
        following = iter(records)
        parts = [*self._parts, *map(scored_classes, islice(following, own))]
        added = _TiledClasses(self._tiles, kept=self._kept)
        while added.add(islice(following, TOGETHER)):
            pass
        return type(self)((*parts, *added.parts()), added.tiles(), kept=self._kept)

    def _planned(self, positions: tuple[int, ...]) -> _Plan:
        """Return what is computed for the records at `positions`."""
        own, start = list[_OwnProducts](), 0
        grouped = defaultdict[int, list[tuple[ScoredClasses, int]]](list)
        for position in positions:
            part = self._parts[position]
            if part.memory is not None:
                if not (own and own[-1].columns.stop == start and own[-1].alpha == part.alpha):
                    own.append(_OwnProducts((), range(start, start), part.alpha))
                own[-1] = own[-1].followed(part.memory)
            elif part.tiled:
                grouped[part.vectors].append((part, start))
            start += len(part.anchors)
        tiled = [_tiled_columns(vectors, found) for vectors, found in grouped.items()]
        return _Plan(own=own, tiled=tiled)


def _tiled_columns(vectors: int, parts: list[tuple[ScoredClasses, int]]) -> _TiledColumns:
    """Return what is computed of tiles for parts whose columns begin where it is said."""
    targets = merged(range(start, start + len(part.anchors)) for part, start in parts)
    device = parts[0][0].anchors.device
    columns: slice | Tensor = slice(targets[0].start, targets[0].stop)
    if len(targets) > 1:
        columns = torch.cat([torch.arange(each.start, each.stop) for each in targets]).to(device)
    alphas = torch.tensor([part.alpha for part, _ in parts])
    sizes = torch.tensor([len(part.anchors) for part, _ in parts])
    same = bool((alphas == alphas[0]).all())
    return _TiledColumns(
        vectors=vectors,
        ranges=merged(part.tiled for part, _ in parts),
        columns=columns,
        alpha=parts[0][0].alpha if same else alphas.repeat_interleave(sizes).to(device),
    )


@once_per_record
def scored_classes(record: Record) -> ScoredClasses:
    """Return what scoring needs of a LADA record whose memory is a product of its own.

    Raises:
        CorruptionError: the record's tensors do not fit its classes.
    """
    tensors = checked_tensors(record)
    settings = LadaSettings.from_mapping(record.settings)
    memory = None
    if len(tensors["memory"]):
        memory = MemoryBlock.of(tensors["memory"], tensors["memory_offsets"], beta=settings.beta)
    return ScoredClasses(
        anchors=normalize(tensors["text_features"], dim=-1), memory=memory, alpha=settings.alpha
    )


class _TiledClasses:
    """Records that are added to tiles, one after the other.

    Args:
        before: Tiles by their number of vectors.
        kept: How memory is kept.
    """

    def __init__(self, before: Mapping[int, MemoryTiles], *, kept: MemoryFormat) -> None:
        self._before, self._kept = before, kept
        self._growing: dict[int, GrowingTiles] = {}
        self._anchors = _AnchorRoom()
        self._added: list[ScoredClasses] = []

    def add(self, records: Iterable[Record]) -> int:
        """Copy what scoring needs of some records, and return how many they are.

        Raises:
            CorruptionError: the tensors of one do not fit its classes.
        """
        # All are looked at before the first is copied, which pushes all else out of the cache.
        read = [_read(record) for record in records]
        for rows, anchors, alpha in read:
            vectors, tiled = 0, range(0)
            if rows is not None:
                vectors = rows.padded.shape[1]
                growing = self._of(vectors)
                start = growing.classes
                growing.add(rows)
                tiled = range(start, growing.classes)
            copied = self._anchors.add(anchors)
            self._added.append(
                ScoredClasses(anchors=copied, alpha=alpha, vectors=vectors, tiled=tiled)
            )
        return len(read)

    def parts(self) -> Sequence[ScoredClasses]:
        """Return what scoring needs of the records that were added, their memory apart."""
        self._anchors.normalise()
        return self._added

    def tiles(self) -> Mapping[int, MemoryTiles]:
        """Return the tiles with what was added."""
        return {**self._before, **{key: some.grown() for key, some in self._growing.items()}}

    def _of(self, vectors: int) -> GrowingTiles:
        if vectors not in self._growing:
            empty = MemoryTiles(vectors=vectors, kept=self._kept)
            self._growing[vectors] = GrowingTiles(self._before.get(vectors, empty))
        return self._growing[vectors]


def _read(record: Record) -> tuple[ClassRows | None, Tensor, float]:
    """Return the memory of a record where it has any, its anchors, and alpha, as they were read."""
    tensors = as_stored(checked_tensors(record))
    settings = LadaSettings.from_mapping(record.settings)
    rows = _class_rows(tensors, beta=settings.beta) if tensors["memory"].shape[0] else None
    return rows, tensors["text_features"], settings.alpha


class _AnchorRoom:
    """Room for the anchors of many records: few blocks, which are normalised where they lie."""

    # A block is twice as large as the one before, up to a tile of anchors: of many records few are
    # needed, and one record takes no more than it has.

    def __init__(self) -> None:
        self._blocks: list[Tensor] = []
        self._taken = 0  # of the last one

    def add(self, anchors: Tensor) -> Tensor:
        """Return a copy of (C, D) `anchors`, which `normalise` makes unit rows."""
        count = anchors.shape[0]
        last = self._blocks[-1] if self._blocks else anchors[:0]
        if self._taken + count > last.shape[0]:
            size = max(count, min(2 * last.shape[0], ROWS))
            self._cut()
            last = room_for((size, anchors.shape[1]), anchors.dtype, anchors.device)
            self._blocks.append(last)
            self._taken = 0
        copied = last[self._taken : self._taken + count].copy_(anchors)
        self._taken += count
        return copied

    def normalise(self) -> None:
        """Make unit rows of all anchors."""
        self._cut()
        for block in self._blocks:
            normalize(block, dim=-1, out=block)

    def _cut(self) -> None:
        if self._blocks:
            self._blocks[-1] = self._blocks[-1][: self._taken]


def _class_rows(tensors: Mapping[str, Tensor], *, beta: float) -> ClassRows:
    memory, offsets = tensors["memory"], tensors["memory_offsets"]
    ends = offsets.tolist()
    classes, most = len(ends) - 1, max(end - start for start, end in pairwise(ends))
    if memory.shape[0] == classes * most:
        return ClassRows(padded=memory.view(classes, most, memory.shape[1]), beta=beta)
    padded, present = padded_memory(memory, offsets)
    bias = padded.new_full(present.shape, -torch.inf).masked_fill(present, -beta)
    return ClassRows(padded=padded, bias=bias, beta=beta)
