"""Scorers that several methods use: by cosine, and with a record's own text features.

Shapes: N images · D feature width · C classes of a record · S classes of all records asked for
"""

from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.method import Query, Scorer
from adapters.contract.records import Record


class AnchoredScorer(Scorer):
    """Scores records by anchors that are their own `text_features`.

    Args:
        records: Oldest first.
    """

    def __init__(self, records: tuple[Record, ...]) -> None:
        self._records = records
        self._anchors = [normalize(record.tensors["text_features"], dim=-1) for record in records]

    def anchors(self, position: int) -> Tensor:
        return self._anchors[position]


class CosineScorer(AnchoredScorer):
    """Cosines with the records' means where they have some, their text logits elsewhere."""

    def __init__(self, records: tuple[Record, ...]) -> None:
        super().__init__(records)
        self._means = [
            normalize(record.tensors["means"], dim=-1) if "means" in record.tensors else None
            for record in records
        ]

    def extended(self, record: Record) -> "CosineScorer":
        return CosineScorer((*self._records, record))

    def scores(self, query: Query) -> Tensor:
        scores, start = query.text_logits.clone(), 0
        for position in query.positions:
            means = self._means[position]
            end = start + len(self._anchors[position])
            if means is not None:
                scores[:, start:end] = query.logit_scale * (query.features @ means.t())
            start = end
        return scores
