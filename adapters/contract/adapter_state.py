"""The content of an adapter's version: its records, and the state that its tasks share.

Records are immutable and only added. Shared state is replaced as a whole by a method that needs one
(a tower that goes on being trained, prompts that all tasks read); most methods have none.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from adapters.contract.records import Record, check_finite, diverged, pack, unpack
from adapters.errors import CorruptionError

SCHEMA = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedState:
    """What moves on from task to task, immutable within one version.

    Attributes:
        method: The method that learnt it.
        encoder: The fingerprint of the encoder that it belongs to.
        tensors: Contiguous CPU tensors by name.
    """

    method: str
    encoder: str
    tensors: Mapping[str, Tensor]

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors in memory."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its bytes, in hexadecimal."""
        return hashlib.sha256(encode_shared(self)).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AdapterState:
    """What one version holds.

    Attributes:
        records: Oldest first; none before the first task.
        shared: What its tasks share; None for methods without any.
    """

    records: tuple[Record, ...] = ()
    shared: SharedState | None = None


def encode_shared(shared: SharedState) -> bytes:
    """Return the bytes of `shared`: the same for the same state, on every machine.

    Raises:
        FeatureError: a tensor is not finite.
    """
    for name, tensor in shared.tensors.items():
        if not torch.isfinite(tensor).all():
            raise diverged("shared state", name)
    described = {"schema": SCHEMA, "method": shared.method, "encoder": shared.encoder}
    return pack(shared.tensors, described)


def decode_shared(blob: bytes) -> SharedState:
    """Return the state whose bytes are `blob`.

    Raises:
        CorruptionError: the bytes are not those of a shared state of this schema.
    """
    tensors, described = unpack(blob)
    schema = described.get("schema")
    found = type(schema) is int and schema, described.get("method"), described.get("encoder")
    match found:
        case (1, str(method), str(encoder)):
            check_finite(tensors, what="shared state")
            return SharedState(method=method, encoder=encoder, tensors=tensors)
    raise CorruptionError(
        f"shared state: expected schema {SCHEMA} with a method and an encoder, found "
        f"{described!r:.200}"
    )
