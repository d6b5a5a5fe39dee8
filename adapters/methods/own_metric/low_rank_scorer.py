"""Inference in low-rank form: the first tasks as in dense form, all later ones in blocks.

The first tasks make the common metric; each has a metric of its own that grows until they are all
there. Later tasks never move, and what is computed for one more of them does not depend on how many
there are.

Shapes: N images · D feature width · C classes of a record · S classes of all records asked for
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.method import Query, Scorer
from adapters.contract.records import Record
from adapters.contract.shared_settings import check_shared
from adapters.methods.own_metric.class_tensors import text_weight
from adapters.methods.own_metric.common_metric import FIRST_TASKS, CommonMetric
from adapters.methods.own_metric.dense import DenseScorer
from adapters.methods.own_metric.settings import SHARED, OwnMetricSettings
from adapters.methods.own_metric.task_blocks import Shape, TaskBlocks
from adapters.methods.own_metric.task_rows import TaskRows
from adapters.parts.latest import Latest

IMAGES = 64
"""At most so many images meet a block at once: their products take half a megabyte."""


class _Place(NamedTuple):
    """Where a later task is: the shape of its blocks, and its number among the tasks in them."""

    shape: Shape
    number: int


class _BlockColumns(NamedTuple):
    """Classes of one block, and where their scores go.

    Attributes:
        shape: Of the block.
        block: Its number.
        slots: (c,) int64, of the classes in the block.
        columns: (c,) int64, of the same in the query.
    """

    shape: Shape
    block: int
    slots: Tensor
    columns: Tensor


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Plan:
    """What is computed for some records.

    Attributes:
        first: Positions of those among the first tasks.
        columns: How many classes these have.
        later: What is in blocks.
    """

    first: tuple[int, ...]
    columns: int
    later: list[_BlockColumns]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Later:
    """The tasks after the first ones. Immutable.

    Attributes:
        common: The metric of the first tasks.
        basis: (D, D) float32, its directions.
        places: Of the tasks.
        blocks: By the shape of their tasks.
    """

    common: CommonMetric
    basis: Tensor
    places: tuple[_Place, ...] = ()
    blocks: Mapping[Shape, TaskBlocks] = field(default_factory=dict)

    def extended(self, records: Sequence[Record], settings: OwnMetricSettings) -> Self:
        """Return these and `records`; of what is there only last blocks are copied."""
        places, blocks = list(self.places), dict(self.blocks)
        added = defaultdict[Shape, list[TaskRows]](list)
        for record in records:
            weight = text_weight(record, fusion=settings.fusion)
            task = TaskRows.of(record, self.common, text_weight=weight)
            shape = Shape.of(task)
            known = blocks.setdefault(shape, TaskBlocks(shape=shape, sharpness=settings.sharpness))
            places.append(_Place(shape, known.count + len(added[shape])))
            added[shape].append(task)
        for shape, tasks in added.items():
            blocks[shape] = blocks[shape].extended(tasks)
        return replace(self, places=tuple(places), blocks=blocks)


class LowRankScorer(Scorer):
    """Scores records in low-rank form.

    Args:
        first: The scorer of the first tasks.
        anchors: (C, D) unit rows of every record.
        later: The others; None where there are none.
        settings: What all share.
    """

    def __init__(
        self,
        first: tuple[Record, ...],
        scorer: DenseScorer,
        anchors: tuple[Tensor, ...],
        later: Later | None = None,
    ) -> None:
        self._first, self._scorer, self._anchors, self._later = first, scorer, anchors, later
        self._settings = OwnMetricSettings.from_mapping(first[0].settings)
        self._plan = Latest[tuple[int, ...], _Plan]()

    @classmethod
    def of(cls, records: tuple[Record, ...]) -> Self:
        """Return the scorer of `records`, oldest first; at least one."""
        first = records[:FIRST_TASKS]
        scorer = DenseScorer(first)
        anchors = tuple(scorer.anchors(position) for position in range(len(first)))
        begun = cls(first, scorer, anchors)
        return begun._with(records[FIRST_TASKS:]) if len(records) > FIRST_TASKS else begun

    def extended(self, record: Record) -> Self:
        if len(self._first) == FIRST_TASKS:
            return self._with((record,))
        scorer = self._scorer.extended(record)
        anchors = (*self._anchors, scorer.anchors(len(self._first)))
        return type(self)((*self._first, record), scorer, anchors)

    def anchors(self, position: int) -> Tensor:
        return self._anchors[position]

    def scores(self, query: Query) -> Tensor:
        within, between = self.terms(query)
        return within.add_(between)

    def terms(self, query: Query) -> tuple[Tensor, Tensor]:
        """Return what the scores are the sum of, (N, S) each.

        Returns:
            What tells the classes of each record apart, and what tells records apart: the same for
            all classes of a record, whatever `query` asks for.
        """
        plan = self._plan.of(tuple(query.positions), self._planned)
        within, between = (torch.empty_like(query.text_logits) for _ in range(2))
        if plan.first:
            own_text = query.text_logits[:, : plan.columns]
            early = replace(query, text_logits=own_text, positions=plan.first)
            for whole, of_first in zip((within, between), self._scorer.terms(early), strict=True):
                whole[:, : plan.columns] = of_first
        for start in range(0, len(within), IMAGES):
            part = slice(start, start + IMAGES)
            asked = query.features[part], query.text_logits[part]
            self._score_later(*asked, plan, (within[part], between[part]))
        return within, between

    def _score_later(
        self, features: Tensor, text_logits: Tensor, plan: _Plan, terms: tuple[Tensor, Tensor]
    ) -> None:
        """Write both terms of the scores of what is in blocks into `terms`, (N, S) each."""
        if not plan.later:
            return
        assert self._later is not None
        squares = (features @ self._later.basis).square_()
        for each in plan.later:
            block = self._later.blocks[each.shape].blocks[each.block]
            own_text = features.new_zeros(len(features), each.shape.tasks * each.shape.classes)
            own_text[:, each.slots] = text_logits[:, each.columns]
            found = block.scores(features, squares, own_text, sharpness=self._settings.sharpness)
            for whole, of_block in zip(terms, found, strict=True):
                whole[:, each.columns] = of_block[:, each.slots]

    def _with(self, records: tuple[Record, ...]) -> Self:
        """Return a scorer of `records` too, which follow the first tasks."""
        check_shared([each.settings for each in (self._first[0], *records)], names=SHARED)
        later = self._later
        if later is None:
            common = CommonMetric.of(self._first, shrinkage=self._settings.shrinkage)
            later = Later(common=common, basis=common.directions.float().contiguous())
        anchors = (normalize(record.tensors["text_features"], dim=-1) for record in records)
        later = later.extended(records, self._settings)
        return type(self)(self._first, self._scorer, (*self._anchors, *anchors), later)

    def _planned(self, positions: tuple[int, ...]) -> _Plan:
        """Return what is computed for the records at `positions`."""
        first = tuple(position for position in positions if position < len(self._first))
        start = columns = sum(len(self._anchors[position]) for position in first)
        found = defaultdict[tuple[Shape, int], list[tuple[int, int, int]]](list)
        for position in positions[len(first) :]:
            assert self._later is not None
            shape, number = self._later.places[position - len(self._first)]
            block, place = divmod(number, shape.tasks)
            count = len(self._anchors[position])
            found[shape, block].append((place * shape.classes, start, count))
            start += count
        later = [
            _BlockColumns(
                shape,
                block,
                torch.cat([torch.arange(slot, slot + count) for slot, _, count in tasks]),
                torch.cat([torch.arange(column, column + count) for _, column, count in tasks]),
            )
            for (shape, block), tasks in found.items()
        ]
        return _Plan(first=first, columns=columns, later=later)
