"""CL-LoRA as a method: its training, its versions' towers and their scorer put together."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from adapters.contract.adapter_state import AdapterState, SharedState
from adapters.contract.canonical import canonical_json, digest_of
from adapters.contract.method import Scorer
from adapters.contract.settings import MethodSettings
from adapters.contract.training_inputs import TrainingInputs
from adapters.methods.cl_lora.learner import ClLoraTraining
from adapters.methods.cl_lora.record import (
    changes_digest,
    changes_of,
    own_changes,
    shared_changes,
)
from adapters.methods.cl_lora.scorer import SHARED, ClLoraScorer
from adapters.methods.cl_lora.settings import ClLoraSettings
from adapters.methods.cl_lora.split_tower import METHOD, SplitTower
from adapters.methods.cl_lora.version_tower import VersionTower
from adapters.parts.trained import Trained, Training
from adapters.towers.image_tower import FrozenImageTower, ImageTower
from adapters.towers.vision_transformer import check_transformer


class ClLora(Trained):
    """Low-rank changes of a vision transformer: shared in its first half, a task's own after it."""

    name: ClassVar[str] = METHOD
    settings_type: ClassVar[type[MethodSettings]] = ClLoraSettings
    shared: ClassVar[tuple[str, ...]] = SHARED

    def check_tower(self, visual: Callable[[], Any], settings: Mapping[str, Any]) -> None:
        tower, chosen = visual(), ClLoraSettings.from_mapping(settings)
        if tower is None:
            return
        check_transformer(tower, by=self.name)
        chosen.shared_of(len(tower.transformer.resblocks))
        chosen.check_rank(int(tower.transformer.width))

    def check_any_task(self, visual: Callable[[], Any]) -> None:
        tower = visual()
        if tower is not None:
            check_transformer(tower, by=self.name)

    def check_shared(self, shared: SharedState) -> None:
        changes_of(shared)

    def training(self, inputs: TrainingInputs) -> Training:
        return ClLoraTraining(inputs, settings=ClLoraSettings.from_mapping(inputs.settings))

    def scorer(self, state: AdapterState) -> Scorer:
        shared_changes(state)
        return ClLoraScorer(state.records)

    def fingerprint(self, state: AdapterState) -> str:
        shared = state.shared
        changed = {
            "method": self.name,
            "encoder": state.records[0].encoder,
            "shared": shared.digest if shared else None,
            "tasks": [changes_digest(record) for record in state.records],
            "space": ClLoraSettings.from_mapping(state.records[0].settings).space,
        }
        return digest_of(canonical_json(changed))

    def image_tower(self, base: FrozenImageTower, state: AdapterState) -> ImageTower:
        settings = ClLoraSettings.from_mapping(state.records[0].settings)
        return VersionTower(
            base,
            SplitTower(base, space=settings.space),
            shared=shared_changes(state),
            tasks=[own_changes(record) for record in state.records],
            fingerprint=self.fingerprint(state),
        )
