"""DMC and DMC-OT as methods (arXiv 2511.10974).

Known of the source: its abstract. The image encoder is learnt first, with the text side frozen, and
soft prompts then, with the image side frozen; class-wise Gaussians are replayed, which DMC-OT
calibrates by optimal transport as the encoder moves. All else is a proposal of nacre.

Tensors of a record: see `adapters.methods.dmc.record`; of the shared state: see
`adapters.methods.dmc.shared_state`.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from adapters.contract.adapter_state import AdapterState, SharedState
from adapters.contract.method import Scorer
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import CorruptionError, SettingsError
from adapters.methods.dmc.scorer import DmcScorer
from adapters.methods.dmc.settings import SCORED_TOGETHER, DmcOtSettings, DmcSettings
from adapters.methods.dmc.shared_state import DmcState
from adapters.methods.dmc.training import DmcTraining
from adapters.methods.dmc.version_tower import VersionTower
from adapters.parts.trained import Trained, Training
from adapters.towers.image_tower import FrozenImageTower, ImageTower
from adapters.towers.vision_transformer import check_transformer


class Dmc(Trained):
    """Image side and prompts learnt one after the other; statistics stay where they are."""

    name: ClassVar[str] = "dmc"
    settings_type: ClassVar[type[DmcSettings]] = DmcSettings
    shared: ClassVar[tuple[str, ...]] = SCORED_TOGETHER

    def check_tower(self, visual: Callable[[], Any], settings: Mapping[str, Any]) -> None:
        if self._settings(settings).adapter == "feature":
            return
        try:
            check_transformer(visual(), by=self.name)
        except SettingsError as error:
            raise SettingsError(
                f"{error.message}, or use the setting `adapter: feature`, which fits any tower",
                **error.fields,
            ) from error

    def check_shared(self, shared: SharedState) -> None:
        DmcState.of(AdapterState(shared=shared)).check()

    def training(self, inputs: TrainingInputs) -> Training:
        return DmcTraining(inputs, settings=self._settings(inputs.settings), by=self.name)

    def scorer(self, state: AdapterState) -> Scorer:
        return DmcScorer(state, settings=self.settings_type)

    def fingerprint(self, state: AdapterState) -> str:
        chosen = self._settings(state.records[0].settings)
        if chosen.adapter == "feature":
            return state.records[0].encoder
        if state.shared is None:
            raise CorruptionError("version of DMC: expected a shared state, found none")
        facts = f"{state.records[0].encoder}/{self.name}/{chosen.unseen}/{state.shared.digest}"
        return hashlib.sha256(facts.encode()).hexdigest()[:32]

    def image_tower(self, base: FrozenImageTower, state: AdapterState) -> ImageTower:
        chosen = self._settings(state.records[0].settings)
        if chosen.adapter == "feature":
            return base
        down, up = DmcState.of(state).required("down", "up")
        return VersionTower(
            base,
            {"down": down, "up": up},
            bare=chosen.unseen == "bare",
            fingerprint=self.fingerprint(state),
            by=self.name,
        )

    def _settings(self, values: Mapping[str, Any]) -> DmcSettings:
        return self.settings_type.from_mapping(values)


class DmcOt(Dmc):
    """DMC with calibrated statistics and prompts of which half is a task's own."""

    name: ClassVar[str] = "dmc_ot"
    settings_type: ClassVar[type[DmcSettings]] = DmcOtSettings
