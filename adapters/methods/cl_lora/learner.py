"""CL-LoRA's training: one task being learnt, one update at a time.

For every batch of a task after the first, under `two_step`:

    1   distillation: forward, backward, reassignment; SGD moves the shared Up and the head
    2   classification: a forward of its own through what 1 has left, backward; SGD moves all

Each of the two is a step, so that a training can be stopped between them. The published code runs
the forward of 2 before 1 and its backward after it: through a graph whose weights have changed
meanwhile, which torch refuses today.

Shapes: B images · M classes · W width of the space
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from adapters.contract.training_inputs import TrainingInputs
from adapters.methods.cl_lora.objective import distillation, orthogonality, row_weights
from adapters.methods.cl_lora.parameters import TaskParameters
from adapters.methods.cl_lora.record import record_tensors, shared_tensors
from adapters.methods.cl_lora.settings import ClLoraSettings
from adapters.methods.cl_lora.split_tower import METHOD, SplitTower
from adapters.parts.optimiser import MomentumSgd
from adapters.parts.pixels import PixelBatch, PixelBatches, over_test_views
from adapters.parts.schedule import cosine

_MOMENTUM = 0.9


class ClLoraTraining:
    """The training of one task.

    Args:
        inputs: What the task is learnt from.
        settings: Settings.

    Raises:
        SettingsError: cached features alone, a tower that is no vision transformer, or settings
            that do not fit it.
    """

    # Owns: the parameters and their momentum; what the task begins with is only read.

    def __init__(self, inputs: TrainingInputs, *, settings: ClLoraSettings) -> None:
        base, self._pixels = inputs.images.required(by=METHOD)
        self._inputs, self._settings, self._device = inputs, settings, base.device
        self._tower = SplitTower(base, space=settings.space)
        self._learnt = TaskParameters(inputs, settings, self._tower, device=base.device)
        self._sgd = MomentumSgd(
            self._learnt.named, momentum=_MOMENTUM, weight_decay=settings.weight_decay
        )
        self._batches = PixelBatches(
            self._pixels, inputs.task.labels, size=settings.batch_size, seed=inputs.seed
        )
        distils = self._learnt.old_up is not None
        self._updates = 2 if distils and settings.step == "two_step" else 1
        self.total_steps = settings.epochs * self._batches.per_epoch * self._updates

    def advance(self, step: int) -> float:
        """Make update `step`, counted from 0, and return its loss."""
        number, update = divmod(step, self._updates)
        batch, loss = self._batches.at(number), 0.0
        if self._learnt.old_up is not None and update == 0:
            loss += self._distil(batch, self._learnt.old_up)
        if update == self._updates - 1:
            loss += self._classify(batch)
        epoch = number // self._batches.per_epoch
        rate = cosine(epoch, total_steps=self._settings.epochs, peak=self._settings.learning_rate)
        self._sgd.step(learning_rate=rate.learning_rate)
        return loss

    def state(self) -> Mapping[str, Tensor]:
        """Return parameters, momentum, and the shared Down, which may have been drawn here."""
        return {**self._sgd.tensors(), "down": self._learnt.down}

    def restore(self, tensors: Mapping[str, Tensor], *, steps_done: int) -> None:  # noqa: ARG002
        """Take over what `state` returned; KeyError, RuntimeError where it does not fit."""
        self._learnt.resume(tensors["down"])
        self._sgd.load(tensors)

    def tensors(self) -> Mapping[str, Tensor]:
        """Return the record's tensors; prototypes are of test views."""
        task = self._inputs.task
        features = over_test_views(self._pixels, len(task.labels), self._features)
        classes = range(len(task.classes))
        prototypes = torch.stack([features[task.labels == each].mean(dim=0) for each in classes])
        return {
            **_kept(record_tensors(self._learnt.own())),
            "prototypes": prototypes,
            "mean_cosine": cosine_similarity(features, prototypes[task.labels]).mean(),
            "text_features": self._inputs.text.kept(),
        }

    def shared(self) -> Mapping[str, Tensor]:
        """Return Down, which stays as it is, and Up as it is now."""
        return _kept(shared_tensors(self._learnt.shared()))

    def _features(self, pixels: Tensor) -> Tensor:
        """Return f of (B, 3, S, S) pixels, (B, W)."""
        tokens = self._tower.lower(pixels, self._learnt.shared())
        return self._tower.upper(tokens, self._learnt.own())

    def _distil(self, batch: PixelBatch, old_up: Tensor) -> float:
        """Set the distillation's gradients of Up, reassigned, and of the head."""
        shared, head = self._learnt.shared(), self._learnt.head()
        with torch.no_grad():
            before = self._tower.read(self._tower.lower(batch.pixels, replace(shared, up=old_up)))
        now = self._tower.read(self._tower.lower(batch.pixels, shared))
        teacher = head.logits(before)
        if self._settings.detach_teacher:
            teacher = teacher.detach()
        loss = self._settings.distillation_weight * distillation(
            head.logits(now), teacher, temperature=self._settings.temperature
        )
        loss.backward()  # type: ignore[no-untyped-call]
        gradient = self._learnt.named["up"].grad
        assert gradient is not None, "the student reads Up"
        gradient *= row_weights(old_up)
        return float(loss.detach())

    def _classify(self, batch: PixelBatch) -> float:
        """Add the gradients of classification and orthogonality to what is there."""
        logits = self._learnt.head().logits(self._features(batch.pixels))
        loss = cross_entropy(logits, batch.labels.to(self._device))
        if self._learnt.weights_before is not None:
            weights = self._learnt.named["block_weights"]
            apart = orthogonality(weights, self._learnt.weights_before)
            loss = loss + self._settings.orthogonality_weight * apart
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())


def _kept(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `tensors` as records keep them: on the CPU, contiguous, and copies."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
