"""Checkpoint validation: a training resumes from its own checkpoint and from nothing else.

What it started from is one digest, which the checkpoint carries.
"""

import hashlib
from collections.abc import Sequence

from adapters.contract.records import Record, encode_record
from adapters.contract.task_features import TaskFeatures
from adapters.towers.text_side import TextSide


def inputs_digest(task: TaskFeatures, past: Sequence[Record], text: TextSide) -> str:
    """Return a digest of the task, the records and the text side."""
    digest = hashlib.sha256(task.digest().encode())
    for record in past:
        digest.update(hashlib.sha256(encode_record(record)).digest())
    digest.update(text.features.detach().cpu().contiguous().numpy().tobytes())
    digest.update(repr(text.logit_scale).encode())
    return digest.hexdigest()
