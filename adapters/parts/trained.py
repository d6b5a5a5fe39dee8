"""Base class of methods that train a few parameters by gradient descent, one step at a time.

LADA has a learner of its own, because it writes its gradients out.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from adapters.contract.checkpoints import check_inputs, inputs_digest
from adapters.contract.method import Learner, Learnt
from adapters.contract.records import pack
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import CorruptionError, SettingsError
from adapters.parts.denormals import flushed_denormals
from adapters.parts.optimiser import ScheduledAdamW
from adapters.parts.training_free import RecordPerTask


class Training(Protocol):
    """What is trained, and how."""

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""

    def advance(self, step: int) -> float:
        """Take step `step`, counted from 0, and return its loss."""

    def state(self) -> Mapping[str, Tensor]:
        """Return everything that a step changes."""

    def restore(self, tensors: Mapping[str, Tensor], *, steps_done: int) -> None:
        """Take over what `state` returned after `steps_done` steps; KeyError, RuntimeError."""

    def tensors(self) -> Mapping[str, Tensor]:
        """Return what the record holds at the present parameters, on the CPU."""


@runtime_checkable
class Sharing(Protocol):
    """A training that leaves shared state beside the record."""

    def shared(self) -> Mapping[str, Tensor]:
        """Return what the version's tasks share at the present parameters, on the CPU."""


class Descent(ABC):
    """A training by AdamW, one batch in a step."""

    optimiser: ScheduledAdamW

    @abstractmethod
    def loss(self, step: int) -> Tensor:
        """Return the loss of step `step`, counted from 0, with its graph."""

    def advance(self, step: int) -> float:
        """Take step `step`, counted from 0, and return its loss."""
        loss = self.loss(step)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step(step)
        return float(loss.detach())

    def state(self) -> Mapping[str, Tensor]:
        """Return parameters and moments."""
        return self.optimiser.tensors()

    def restore(self, tensors: Mapping[str, Tensor], *, steps_done: int) -> None:
        """Take over parameters and moments."""
        self.optimiser.load(tensors, steps_done=steps_done)


class TrainedLearner:
    """A training that can stop between any two steps."""

    def __init__(self, training: Training, *, described: Mapping[str, Any]) -> None:
        self._training, self._described = training, described
        self._steps_done = 0

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        return self._training.total_steps

    @property
    def steps_done(self) -> int:
        """Steps taken so far."""
        return self._steps_done

    def step(self) -> float:
        """Take the next step and return its loss; SettingsError once all steps are done."""
        if self._steps_done >= self.total_steps:
            raise SettingsError(f"expected at most {self.total_steps} steps, asked for one more")
        with flushed_denormals():
            loss = self._training.advance(self._steps_done)
        self._steps_done += 1
        return loss

    def checkpoint(self) -> bytes:
        """Return the training's state, step count, seed and settings."""
        described = {**self._described, "steps_done": self._steps_done}
        return pack(self._training.state(), described)

    def learnt(self) -> Learnt:
        """Return what has been learnt up to now."""
        with torch.no_grad():
            training = self._training
            shared = training.shared() if isinstance(training, Sharing) else None
            return Learnt(tensors=training.tensors(), shared=shared)

    def go_on(self, tensors: Mapping[str, Tensor], *, steps_done: int) -> None:
        """Take over the state of a checkpoint."""
        self._training.restore(tensors, steps_done=steps_done)
        self._steps_done = steps_done


class Trained(RecordPerTask):
    """A method that trains a few parameters per task."""

    @abstractmethod
    def training(self, inputs: TrainingInputs) -> Training:
        """Return the training of the task at its beginning; the settings are complete."""

    def start(self, inputs: TrainingInputs) -> Learner:
        return self._learner(inputs)

    def resume(self, checkpoint: bytes, inputs: TrainingInputs) -> Learner:
        tensors, described = self.unpacked(checkpoint)
        try:
            begun = replace(inputs, settings=described["settings"], seed=described["seed"])
            learner = self._learner(begun)
            check_inputs(described["inputs"], inputs)
            learner.go_on(tensors, steps_done=int(described["steps_done"]))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CorruptionError(f"checkpoint: malformed: {error}") from error
        return learner

    def _learner(self, inputs: TrainingInputs) -> TrainedLearner:
        inputs, described = self.checked(inputs)
        described["inputs"] = inputs_digest(inputs)
        return TrainedLearner(self.training(inputs), described=described)
