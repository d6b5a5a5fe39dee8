"""DMC's inference: cosines of the changed image features with the learnt text features.

Shapes: N images · P paths · D feature width · C classes of a record
"""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.adapter_state import AdapterState
from adapters.contract.method import Query, Scorer
from adapters.contract.records import Record
from adapters.contract.shared_settings import shared_settings
from adapters.errors import CorruptionError
from adapters.methods.dmc.image_change import changed_features
from adapters.methods.dmc.record import text_of
from adapters.methods.dmc.settings import SCORED_TOGETHER, DmcSettings
from adapters.methods.dmc.shared_state import DmcState


class DmcScorer(Scorer):
    """Scale times cosine; under `unseen: bare` the first path is the tower's own features.

    Args:
        state: Records and shared state of the version.
        settings: Of the method's kind.

    Raises:
        CorruptionError: what is in them does not fit together.
        SettingsError: records that cannot be scored together.
    """

    def __init__(self, state: AdapterState, *, settings: type[DmcSettings]) -> None:
        self._state, self._type = state, settings
        chosen = shared_settings(state.records, settings, names=SCORED_TOGETHER)
        shared = DmcState.of(state)
        self._bare = chosen.unseen == "bare"
        self._matrix = shared.required("matrix")[0] if chosen.adapter == "feature" else None
        self._text = tuple(
            normalize(learnt_text(record, chosen, shared), dim=-1) for record in state.records
        )
        self._anchors = self._text
        if self._bare:
            self._anchors = tuple(
                normalize(text_of(record, "text_features"), dim=-1) for record in state.records
            )

    def extended(self, record: Record) -> "DmcScorer":
        grown = AdapterState(records=(*self._state.records, record), shared=self._state.shared)
        return DmcScorer(grown, settings=self._type)

    def paths(self, features: Tensor) -> Tensor:
        if self._matrix is None:
            return features
        changed = changed_features(features, self._matrix)
        return torch.cat([features, changed], dim=1) if self._bare else changed

    def anchors(self, position: int) -> Tensor:
        return self._anchors[position]

    def scores(self, query: Query) -> Tensor:
        if not self._bare:
            return query.text_logits
        changed = query.logit_scale * query.paths[:, -1]
        columns = [changed @ self._text[position].t() for position in query.positions]
        return torch.cat([query.text_logits[:, :0], *columns], dim=1)


def learnt_text(record: Record, settings: DmcSettings, shared: DmcState) -> Tensor:
    """Return the text features with which a version scores a record's classes, (C, D)."""
    if settings.prompts == "augmented":
        return text_of(record, "prompt_features")
    given = text_of(record, "text_features")
    if settings.prompts == "none":
        return given
    found = shared.text.get(record.task)
    if found is None or found.shape != given.shape:
        raise CorruptionError(
            f"shared state of DMC: expected text features of task {record.task!r}, "
            f"{tuple(given.shape)}, found {None if found is None else tuple(found.shape)}; the "
            "record and the shared state are of different histories"
        )
    return found
