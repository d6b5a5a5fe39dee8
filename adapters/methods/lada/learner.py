"""LADA's training: one task being learnt, one step at a time.

Everything random in a step is drawn from the seed and the step's number, so that a checkpoint is
parameters, moments and a count, and the record of a resumed training is that of an undisturbed one
bit for bit on the same machine.

Shapes: D feature width · C classes of the task · M memory vectors per class
"""

from dataclasses import replace
from functools import cached_property, partial
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.checkpoints import check_inputs, inputs_digest
from adapters.contract.merging import Partners
from adapters.contract.method import Learnt
from adapters.contract.records import pack, unpack
from adapters.contract.task_features import check_features, check_past
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import CorruptionError, SettingsError
from adapters.methods.lada.banked_rows import BankedRows
from adapters.methods.lada.memory import TrainableMemory, initial_memory
from adapters.methods.lada.objective import loss_and_gradients
from adapters.methods.lada.parameters import PRODUCT_DTYPES, text_parameters
from adapters.methods.lada.past import old_classes, replay_of
from adapters.methods.lada.past_softmax import OldClasses
from adapters.methods.lada.rows import RowSource, StepSource
from adapters.methods.lada.settings import LadaSettings
from adapters.methods.lada.softmax import NewClasses
from adapters.parts.denormals import flushed_denormals
from adapters.parts.optimiser import ScheduledAdamW
from adapters.parts.schedule import one_cycle

_METHOD = "lada"
# Old classes of one product: affinities of some hundred rows to them stay in the caches.
_BLOCK_CLASSES = 1024
_KIND = {"checkpoint": 1, "method": _METHOD}


class LadaLearner:
    """A LADA training that can stop between any two steps.

    Owns its parameters and its optimiser; the task, the records and the tower are only read.

    Args:
        inputs: What the task is learnt from.
        settings: Hyper-parameters, those of `inputs` complete.

    Raises:
        FeatureError: features of another width than the records', or bad text features.
        EncoderMismatchError: another encoder than the records'.
        ClassNameError: a class id that a record has already.
        SettingsError: a text mode that the text side cannot serve, or more views than are cached.
    """

    def __init__(self, inputs: TrainingInputs, *, settings: LadaSettings) -> None:
        _check(inputs, settings)
        task, past, text, seed = inputs.task, inputs.past.records, inputs.text, inputs.seed
        self._inputs, self._settings = inputs, settings
        device, dtype = torch.device(inputs.device), PRODUCT_DTYPES[settings.autocast]
        known = [entry for record in past for entry in record.classes]
        self._partners = Partners.of([*known, *task.classes], device=device)
        memory, offsets = initial_memory(task, vectors=settings.memory_per_class, seed=seed)
        self._memory = TrainableMemory(
            memory, offsets, beta=settings.beta, dtype=dtype, device=device
        )
        self._text = text_parameters(text, settings, seed=seed, device=device)
        parameters = {**self._memory.named(), **self._text.named()}
        self._total_steps = (
            settings.total_steps(classes=len(task.classes), images=len(task.labels))
            if parameters
            else 0
        )
        self._optimiser = ScheduledAdamW(
            parameters or {"nothing": torch.nn.Parameter(torch.zeros(1))},
            rate=partial(one_cycle, total_steps=self._total_steps, peak=settings.learning_rate),
            weight_decay=settings.weight_decay,
        )
        self._rows, self._old = self._source(dtype=dtype, device=device)
        self._steps_done = 0

    @property
    def total_steps(self) -> int:
        """Steps that the whole training takes; 0 where the settings leave nothing to train."""
        return self._total_steps

    @property
    def steps_done(self) -> int:
        """Steps taken so far."""
        return self._steps_done

    def step(self) -> float:
        """Take the next step and return its loss.

        Raises:
            SettingsError: all steps are done.
        """
        if self._steps_done >= self._total_steps:
            raise SettingsError(f"expected at most {self._total_steps} steps, asked for one more")
        with flushed_denormals():
            loss = self._differentiate()
            self._optimiser.step(self._steps_done)
        self._steps_done += 1
        return loss

    def learnt(self) -> Learnt:
        """Return memory, its offsets and the tuned text features as they are now."""
        memory, offsets = self._memory.compact()
        with torch.no_grad():
            text = self._text.features().cpu().contiguous()
        return Learnt(tensors={"memory": memory, "memory_offsets": offsets, "text_features": text})

    def checkpoint(self) -> bytes:
        """Return parameters, moments, step count, seed and settings as safetensors."""
        described = {
            "steps_done": self._steps_done,
            "seed": self._inputs.seed,
            "settings": self._settings.as_mapping(),
            "inputs": self._inputs_digest,
        }
        return pack(self._optimiser.tensors(), _KIND | described)

    @classmethod
    def resumed(cls, checkpoint: bytes, inputs: TrainingInputs) -> Self:
        """Return the learner that wrote `checkpoint`, ready for its next step.

        Raises:
            CorruptionError: not a checkpoint of LADA.
            InputError: a checkpoint of another task, other records or another text side.
        """
        tensors, described = unpack(bytearray(checkpoint))  # a copy, which training goes on in
        try:
            if {key: described[key] for key in _KIND} != _KIND:
                raise CorruptionError(f"checkpoint: expected one of {_KIND}, found {described}")
            settings = LadaSettings.from_mapping(described["settings"])
            begun = replace(inputs, settings=described["settings"], seed=described["seed"])
            check_inputs(described["inputs"], inputs)
            learner = cls(begun, settings=settings)
            learner._steps_done = int(described["steps_done"])
            learner._optimiser.load(tensors, steps_done=learner._steps_done)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CorruptionError(f"checkpoint: malformed: {error}") from error
        return learner

    def _differentiate(self) -> float:
        rows, normaliser = self._rows.at(self._steps_done)
        anchors = self._anchors()
        new = NewClasses(anchors.detach(), self._memory.block(), self._settings.alpha)
        gradients = loss_and_gradients(
            rows, self._old, new, normaliser=normaliser, partners=self._partners
        )
        if anchors.requires_grad:
            anchors.backward(gradients.anchors)  # type: ignore[no-untyped-call]
        if gradients.memory is not None:
            self._memory.take_gradient(gradients.memory)
        return float(gradients.loss)

    def _anchors(self) -> Tensor:
        return self._inputs.text.logit_scale * normalize(self._text.features(), dim=-1)

    def _new(self) -> NewClasses:
        with torch.no_grad():
            return NewClasses(self._anchors(), self._memory.block(), self._settings.alpha)

    def _source(self, *, dtype: torch.dtype, device: torch.device) -> tuple[StepSource, OldClasses]:
        """Return where the rows come from, and what a step needs of the old classes."""
        inputs, settings = self._inputs, self._settings
        past, task, seed = inputs.past.records, inputs.task, inputs.seed
        replay = replay_of(past, settings, width=task.width).to(device)
        banked = self._total_steps > 0 and settings.bank(old_classes=replay.classes) != "none"
        old = old_classes(
            past,
            scale=inputs.text.logit_scale,
            width=task.width,
            dtype=dtype,
            device=device,
            most_classes=_BLOCK_CLASSES if banked else None,
        )
        if not banked:
            return RowSource(task, replay, settings=settings, seed=seed, device=device), old
        with flushed_denormals():
            rows = BankedRows(
                task,
                replay,
                old,
                self._new(),
                settings=settings,
                seed=seed,
                steps=self._total_steps,
                partners=self._partners,
            )
        # The memory of all records has done its part.
        return rows, old._replace(memory=())

    @cached_property
    def _inputs_digest(self) -> str:
        return inputs_digest(self._inputs)


def _check(inputs: TrainingInputs, settings: LadaSettings) -> None:
    task, past = inputs.task, inputs.past.records
    check_past(task, past, method=_METHOD)
    width = past[0].tensors["text_features"].shape[1] if past else task.width
    check_features(task.features, dims=3, width=width)
    inputs.text.check(classes=len(task.classes), width=width)
    if task.features.shape[1] != settings.views:
        raise SettingsError(
            f"views: expected {settings.views} cached views per image, found "
            f"{task.features.shape[1]}; encode the task with as many views as its settings say"
        )
