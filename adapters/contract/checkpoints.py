"""Checkpoint validation: a training resumes from its own checkpoint and from nothing else.

What it started from is one digest, which the checkpoint carries.
"""

import hashlib

from adapters.contract.records import encode_record
from adapters.contract.training_inputs import TrainingInputs


def inputs_digest(inputs: TrainingInputs) -> str:
    """Return a digest of the task, of what is learnt on, and of the text side."""
    task, past, text = inputs.task, inputs.past, inputs.text
    digest = hashlib.sha256(task.digest().encode())
    for record in past.records:
        digest.update(hashlib.sha256(encode_record(record)).digest())
    if past.shared is not None:
        digest.update(past.shared.digest.encode())
    digest.update(text.features.detach().cpu().contiguous().numpy().tobytes())
    digest.update(repr(text.logit_scale).encode())
    return digest.hexdigest()
