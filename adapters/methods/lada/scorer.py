"""LADA's inference: text logits plus alpha times memory logits (Eq. 6).

Shapes: N images · D feature width · C classes of one record
"""

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.method import Query, Scorer
from adapters.contract.records import Record
from adapters.methods.lada.memory import MemoryBlock
from adapters.methods.lada.record import checked_tensors
from adapters.methods.lada.settings import LadaSettings
from adapters.parts.once import once_per_record


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ScoredClasses:
    """One record's part of the classifier.

    Attributes:
        anchors: (C, D), unit rows.
        memory: Its memory block, None without memory.
        alpha: The factor of the memory logits.
    """

    anchors: Tensor
    memory: MemoryBlock | None
    alpha: float


class LadaScorer(Scorer):
    """Text logits plus alpha times LADA logits.

    Every record is a product of its own, of a shape that later records do not change: the logits of
    old classes stay the same bit for bit, however many records follow.
    """

    def __init__(self, parts: tuple[ScoredClasses, ...]) -> None:
        self._parts = parts

    def extended(self, record: Record) -> "LadaScorer":
        return LadaScorer((*self._parts, scored_classes(record)))

    def anchors(self, position: int) -> Tensor:
        return self._parts[position].anchors

    def scores(self, query: Query) -> Tensor:
        scores = query.text_logits.clone()
        start = 0
        for position in query.positions:
            part = self._parts[position]
            columns = slice(start, start + len(part.anchors))
            if part.memory is not None:
                scores[:, columns].add_(part.memory.logits(query.features), alpha=part.alpha)
            start = columns.stop
        return scores


@once_per_record
def scored_classes(record: Record) -> ScoredClasses:
    """Return what scoring needs of a LADA record.

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
