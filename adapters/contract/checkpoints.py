"""Checkpoint validation: a training resumes from its own checkpoint and from nothing else.

What it started from is one digest, which the checkpoint carries.
"""

import hashlib

from torch import Tensor

from adapters.contract.canonical import canonical_json, digest_of
from adapters.contract.records import encode_record
from adapters.contract.task_features import TaskFeatures
from adapters.contract.training_inputs import TrainingInputs
from adapters.errors import InputError


def inputs_digest(inputs: TrainingInputs) -> str:
    """Return a digest of the task, of what is learnt on, of the text side, and of the images."""
    pixels, features = inputs.images.pixels, inputs.text.features
    return digest_of(
        canonical_json(
            {
                **_described(inputs),
                "text_shape": list(features.shape),
                "text_dtype": str(features.dtype),
                "pixels": pixels.digest if pixels else None,
            }
        )
    )


def check_inputs(digest: str, inputs: TrainingInputs) -> None:
    """Raise InputError unless `digest` is that of `inputs`, in the form of today or an older one.

    Args:
        digest: What a checkpoint carries.
        inputs: What its training is to go on from.
    """
    # An older form is computed only where a newer one does not do.
    if any(digest == form(inputs) for form in FORMS):
        return
    raise InputError(
        f"checkpoint of task {inputs.task.task!r}: it was made from other features, records, text "
        "features or images; start the training afresh"
    )


def second_inputs_digest(inputs: TrainingInputs) -> str:
    """Return the digest as checkpoints carry it that say nothing of images or of shapes of text."""
    return digest_of(canonical_json(_described(inputs)))


def _described(inputs: TrainingInputs) -> dict[str, object]:
    past, text = inputs.past, inputs.text
    return {
        "task": inputs.task.digest(),
        "records": [digest_of(encode_record(record)) for record in past.records],
        "shared": past.shared.digest if past.shared else None,
        "text_features": hashlib.sha256(_data_of(text.features)).hexdigest(),
        "logit_scale": text.logit_scale,
    }


def first_inputs_digest(inputs: TrainingInputs) -> str:
    """Return the digest as checkpoints of the first days carry it: of what `repr` wrote then."""
    task, past, text = inputs.task, inputs.past, inputs.text
    digest = hashlib.sha256(_first_task_digest(task).encode())
    for record in past.records:
        digest.update(hashlib.sha256(encode_record(record)).digest())
    if past.shared is not None:
        digest.update(past.shared.digest.encode())
    digest.update(_data_of(text.features))
    digest.update(repr(text.logit_scale).encode())
    return digest.hexdigest()


FORMS = (inputs_digest, second_inputs_digest, first_inputs_digest)
"""The forms in which checkpoints have said what they were made from, today's first."""


def _first_task_digest(task: TaskFeatures) -> str:
    classes = tuple(
        _Written(
            f"ClassEntry(class_id={each.class_id!r}, name={each.name!r}, prompt={each.prompt!r})"
        )
        for each in task.classes
    )
    digest = hashlib.sha256(repr((task.task, classes, task.encoder)).encode())
    if any(each.merged_into for each in task.classes):
        digest.update(repr([each.merged_into for each in task.classes]).encode())
    digest.update(repr(tuple(task.features.shape)).encode())
    digest.update(_data_of(task.features))
    digest.update(_data_of(task.labels))
    return digest.hexdigest()


class _Written(str):
    """A text that stands for itself inside a `repr`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _data_of(tensor: Tensor) -> memoryview:
    return tensor.detach().cpu().contiguous().numpy().data
