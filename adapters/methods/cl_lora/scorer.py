"""CL-LoRA's inference: cosines with prototypes, each task's along the task's own path.

    score of class c of task i = scale · (cos(f_i(x), p_c) - m_i)

m_i is the task's mean cosine where `calibrate` is `shift`, and zero otherwise. Whether an unseen
class wins is decided before that, by the bare tower's text logits, as for every method: cosines of
images with images lie above those with text, so that a common arg max would never say "unseen".

Shapes: N images · P paths · K paths of a task · D width of a path · C classes of a record
"""

from typing import NamedTuple

import torch
from torch import Tensor

from adapters.contract.method import Query, Scorer
from adapters.contract.records import Record
from adapters.contract.shared_settings import shared_settings
from adapters.errors import FeatureError
from adapters.methods.cl_lora.paths import against_paths
from adapters.methods.cl_lora.record import own_changes
from adapters.methods.cl_lora.settings import ClLoraSettings
from adapters.parts.once import once_per_record
from adapters.parts.scorers import AnchoredScorer

SHARED = ("rank", "shared_blocks", "space", "calibrate")
"""Settings that all records of an adapter have to share."""


class PathPrototypes(NamedTuple):
    """One record's part of the classifier.

    Attributes:
        rows: (C, K D), laid out against the paths of the task.
        paths: K.
        shift: What is subtracted from cosines.
    """

    rows: Tensor
    paths: int
    shift: float


class ClLoraScorer(AnchoredScorer):
    """Scores every record along its own path; a later record changes nothing of that.

    Args:
        records: Oldest first.
    """

    def __init__(self, records: tuple[Record, ...]) -> None:
        shared_settings(records, ClLoraSettings, names=SHARED)
        super().__init__(records)
        self._parts = [_path_prototypes(record) for record in records]

    def extended(self, record: Record) -> Scorer:
        return ClLoraScorer((*self._records, record))

    def scores(self, query: Query) -> Tensor:
        ends = torch.tensor([part.paths for part in self._parts]).cumsum(0).add(1).tolist()
        if query.paths.shape[1] != ends[-1]:
            raise FeatureError(
                f"features: expected {ends[-1]} paths per image, the bare tower's and those of "
                f"{len(self._parts)} tasks, found {query.paths.shape[1]}; read the images with "
                "the version's own tower"
            )
        columns = [query.text_logits[:, :0]]
        for position in query.positions:
            part, end = self._parts[position], ends[position]
            own = query.paths[:, end - part.paths : end].flatten(1).contiguous()
            columns.append(query.logit_scale * (own @ part.rows.t() - part.shift))
        return torch.cat(columns, dim=1)


@once_per_record
def _path_prototypes(record: Record) -> PathPrototypes:
    """Return what scoring needs of a record; CorruptionError where its tensors do not fit."""
    own_changes(record)
    width = record.tensors["text_features"].shape[1]
    rows = against_paths(record.tensors["prototypes"], path=width)
    calibrates = ClLoraSettings.from_mapping(record.settings).calibrate == "shift"
    return PathPrototypes(
        rows=rows,
        paths=rows.shape[1] // width,
        shift=float(record.tensors["mean_cosine"]) if calibrates else 0.0,
    )
