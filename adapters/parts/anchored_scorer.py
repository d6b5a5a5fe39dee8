"""What scorers share whose records bring their own text side.

Shapes: C classes of a record · D feature width
"""

from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.method import Scorer
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
