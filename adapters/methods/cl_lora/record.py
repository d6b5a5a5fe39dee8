"""CL-LoRA's record and its shared state.

Tensors of a record, float32, contiguous, on the CPU:

    specific_down   (2, L, r, d)   queries, then values, of the task's own blocks
    specific_up     (2, L, d, r)
    block_weights   (3, L)         mu: queries, keys, values
    prototypes      (C, W)         class means of f under the tower as it was learnt
    mean_cosine     ()             of the task's training images with their classes' prototypes
    text_features   (C, D)         untuned, for unseen classes and for the text logits

Shared state: `down` (2, L', r, d), drawn with the first task and never changed, and `up`
(2, L', d, r), which every task trains further.

Shapes: L blocks of the task's own · L' shared blocks · r rank · d width of the tower · C classes ·
W width of the space, D or d · D feature width
"""

import hashlib
from collections.abc import Mapping

from torch import Tensor

from adapters.contract.adapter_state import AdapterState, SharedState
from adapters.contract.records import Record
from adapters.errors import CorruptionError
from adapters.methods.cl_lora.changes import BlockChanges
from adapters.parts.once import once_per_record


def record_tensors(own: BlockChanges) -> dict[str, Tensor]:
    """Return the tensors of a task's own changes under their names."""
    assert own.weights is not None, "a task's own changes have block weights"
    return {"specific_down": own.down, "specific_up": own.up, "block_weights": own.weights}


def shared_tensors(shared: BlockChanges) -> dict[str, Tensor]:
    """Return the tensors of the shared state under their names."""
    return {"down": shared.down, "up": shared.up}


def own_changes(record: Record) -> BlockChanges:
    """Return the changes that a record's task has of its own; CorruptionError where they misfit."""
    tensors = record.tensors
    try:
        own = BlockChanges(
            down=tensors["specific_down"],
            up=tensors["specific_up"],
            weights=tensors["block_weights"],
        )
        _check_fit(own, named=f"record {record.task!r}")
        rows = tensors["prototypes"].shape[0], tensors["text_features"].shape[0]
        fits = {*rows} == {len(record.classes)} and tensors["mean_cosine"].ndim == 0
    except (KeyError, IndexError) as error:
        raise CorruptionError(f"record {record.task!r}: tensor missing or flat: {error}") from error
    if not fits:
        raise CorruptionError(
            f"record {record.task!r}: tensors do not fit {len(record.classes)} classes: "
            f"{_shapes(tensors)}"
        )
    return own


def shared_changes(state: AdapterState) -> BlockChanges:
    """Return the changes that all tasks of a version share.

    Raises:
        CorruptionError: the version has no shared state, or one that does not fit.
    """
    if state.shared is None:
        raise CorruptionError(
            "version of method 'cl_lora': expected a shared state, found none; whoever wrote it "
            "has left it out"
        )
    return changes_of(state.shared)


def changes_of(shared: SharedState) -> BlockChanges:
    """Return the changes in a shared state; CorruptionError where they do not fit."""
    tensors = shared.tensors
    if tensors.keys() != {"down", "up"}:
        raise CorruptionError(f"shared state: expected down and up, found {sorted(tensors)}")
    changes = BlockChanges(down=tensors["down"], up=tensors["up"])
    _check_fit(changes, named="shared state")
    return changes


@once_per_record
def changes_digest(record: Record) -> str:
    """Return a digest of what a record's task changes of the tower."""
    digest = hashlib.sha256()
    for tensor in own_changes(record).tensors():
        digest.update(f"{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def _check_fit(changes: BlockChanges, *, named: str) -> None:
    down, up, weights = changes.down, changes.up, changes.weights
    fits = down.ndim == 4 and down.shape[0] == 2 and up.shape == down.mT.shape
    if not fits or (weights is not None and weights.shape != (3, down.shape[1])):
        found = [tuple(tensor.shape) for tensor in changes.tensors()]
        raise CorruptionError(
            f"{named}: expected changes (2, L, r, d), (2, L, d, r) and (3, L), found {found}"
        )


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
