"""Base class of training-free methods, which compute a record from the task in closed form.

Such records do not depend on the order in which tasks are learnt. Every one holds `text_features`
(C, D), the task's text features as they were given.

Shapes: D feature width · C classes of a record
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor

from adapters.contract.method import Learner, Learnt, Method
from adapters.contract.mixture import Mixture
from adapters.contract.records import Record, pack, unpack
from adapters.contract.settings import MethodSettings
from adapters.contract.shared_settings import check_shared
from adapters.contract.task_features import TaskFeatures, check_features, check_past
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import CorruptionError, SettingsError


class Finished:
    """A learner with nothing to train.

    Args:
        tensors: What it has learnt.
        described: What `checkpoint` writes down.
    """

    total_steps = 0
    steps_done = 0

    def __init__(self, tensors: Mapping[str, Tensor], *, described: Mapping[str, Any]) -> None:
        self._tensors, self._described = tensors, described

    def step(self) -> float:
        """Raise SettingsError: there is no step to take."""
        raise SettingsError(
            f"method {self._described['method']!r}: expected no step, asked for one"
        )

    def checkpoint(self) -> bytes:
        """Return method, settings and seed; the rest is computed again."""
        return pack({}, self._described)

    def learnt(self) -> Learnt:
        """Return the tensors."""
        return Learnt(tensors=self._tensors)


class RecordPerTask(Method):
    """A method without mixtures, whose settings are one dataclass.

    Attributes:
        settings_type: Its settings.
    """

    settings_type: ClassVar[type[MethodSettings]] = MethodSettings

    def check_settings(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.settings_type.from_mapping(settings).as_mapping()

    def mixture_components(self, settings: Mapping[str, Any]) -> int:
        self.check_settings(settings)
        return 0

    def record(
        self,
        task: TaskFeatures,
        learnt: Learnt,
        mixtures: Sequence[Mixture],  # noqa: ARG002 - none are wanted
        *,
        settings: Mapping[str, Any],
        seed: int,
    ) -> Record:
        return Record(
            task=task.task,
            classes=task.classes,
            method=self.name,
            settings=self.check_settings(settings),
            seed=seed,
            encoder=task.encoder,
            tensors=learnt.tensors,
        )

    def check(self, inputs: TrainingInputs) -> None:
        """Raise unless the task can be learnt under complete settings; as in `start`."""
        task, past = inputs.task, inputs.past.records
        check_past(task, past, method=self.name)
        width = past[0].tensors["text_features"].shape[1] if past else task.width
        check_features(task.features, dims=3, width=width)
        inputs.text.check(classes=len(task.classes), width=width)
        check_shared([record.settings for record in past] + [inputs.settings], names=self.shared)

    def checked(self, inputs: TrainingInputs) -> tuple[TrainingInputs, dict[str, Any]]:
        """Return inputs with complete settings, and what checkpoints say of them; as in `start`."""
        inputs = replace(inputs, settings=self.check_settings(inputs.settings))
        self.check(inputs)
        return inputs, {
            "checkpoint": 1,
            "method": self.name,
            "settings": inputs.settings,
            "seed": inputs.seed,
        }

    def unpacked(self, checkpoint: bytes) -> tuple[Mapping[str, Tensor], Mapping[str, Any]]:
        """Return what is in a checkpoint; CorruptionError where it is none of this method."""
        tensors, described = unpack(bytearray(checkpoint))  # a copy, which training goes on in
        if described.get("method") != self.name:
            raise CorruptionError(f"checkpoint: expected method {self.name!r}, found {described}")
        return tensors, described


class TrainingFree(RecordPerTask):
    """A method whose record is computed from the task alone."""

    def start(self, inputs: TrainingInputs) -> Learner:
        inputs, described = self.checked(inputs)
        tensors = {"text_features": inputs.text.kept(), **self.tensors(inputs)}
        return Finished(tensors, described=described)

    def resume(self, checkpoint: bytes, inputs: TrainingInputs) -> Learner:
        _, described = self.unpacked(checkpoint)
        settings, seed = described.get("settings", {}), described.get("seed", 0)
        return self.start(replace(inputs, settings=settings, seed=seed))

    @abstractmethod
    def tensors(self, inputs: TrainingInputs) -> Mapping[str, Tensor]:
        """Return what the record holds beside `text_features`; the settings are complete."""
