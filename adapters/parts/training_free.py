"""Base class of training-free methods, which compute a record from the task in closed form.

Such records do not depend on the order in which tasks are learnt. Every one holds `text_features`
(C, D), the task's text features as they were given.

Shapes: D feature width · C classes of a record
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from adapters.contract.method import Learner, Learnt, Method
from adapters.contract.mixture import Mixture
from adapters.contract.records import Record, pack, unpack
from adapters.contract.settings import MethodSettings
from adapters.contract.shared_settings import check_shared
from adapters.contract.task_features import TaskFeatures, check_features, check_past
from adapters.errors import CorruptionError, SettingsError
from adapters.towers.text_side import TextSide


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
        shared: Names of settings that all records of an adapter have to share.
    """

    settings_type: ClassVar[type[MethodSettings]] = MethodSettings
    shared: ClassVar[tuple[str, ...]] = ()

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

    def check(
        self,
        task: TaskFeatures,
        past: Sequence[Record],
        text: TextSide,
        settings: Mapping[str, Any],
    ) -> None:
        """Raise unless `task` can be learnt after `past` under `settings`; as in `start`."""
        check_past(task, past, method=self.name)
        width = past[0].tensors["text_features"].shape[1] if past else task.width
        check_features(task.features, dims=3, width=width)
        text.check(classes=len(task.classes), width=width)
        check_shared([record.settings for record in past] + [settings], names=self.shared)


class TrainingFree(RecordPerTask):
    """A method whose record is computed from the task alone."""

    def start(
        self,
        task: TaskFeatures,
        past: Sequence[Record],
        *,
        text: TextSide,
        settings: Mapping[str, Any],
        seed: int,
        device: torch.device | str = "cpu",  # noqa: ARG002 - nothing is trained
    ) -> Learner:
        complete = self.check_settings(settings)
        self.check(task, past, text, complete)
        described = {"checkpoint": 1, "method": self.name, "settings": complete, "seed": seed}
        tensors = {
            "text_features": text.kept(),
            **self.tensors(task, text, settings=complete, seed=seed),
        }
        return Finished(tensors, described=described)

    def resume(
        self,
        checkpoint: bytes,
        task: TaskFeatures,
        past: Sequence[Record],
        *,
        text: TextSide,
        device: torch.device | str = "cpu",
    ) -> Learner:
        _, described = unpack(checkpoint)
        if described.get("method") != self.name:
            raise CorruptionError(f"checkpoint: expected method {self.name!r}, found {described}")
        settings, seed = described.get("settings", {}), described.get("seed", 0)
        return self.start(task, past, text=text, settings=settings, seed=seed, device=device)

    @abstractmethod
    def tensors(
        self, task: TaskFeatures, text: TextSide, *, settings: Mapping[str, Any], seed: int
    ) -> Mapping[str, Tensor]:
        """Return what the record holds beside `text_features`."""
