"""Placement of a version's tensors: the device that they are scored on, and how memory is kept.

Neither is part of a version: the same records answer on any device and in any format.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import get_args

import torch
from torch import Tensor

from adapters.contract.adapter_state import AdapterState
from adapters.contract.memory_format import MemoryFormat
from adapters.contract.records import Record
from adapters.errors import SettingsError

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where a version is scored, and how its memory is kept there.

    Attributes:
        device: Of the tensors that scoring reads, of features and of scores. Methods that score on
            the CPU alone stay there.
        memory: The format of memory vectors, for methods that have them; all others ignore it.

    Raises:
        SettingsError: there is no such format.
    """

    device: torch.device = CPU
    memory: MemoryFormat = "float32"

    def __post_init__(self) -> None:
        formats = get_args(MemoryFormat)
        if self.memory not in formats:
            raise SettingsError(
                f"memory: expected one of {', '.join(formats)}, found {self.memory!r}",
                name="memory",
            )

    def record(self, record: Record) -> Record:
        """Return `record` with its tensors on the device."""
        if self.device == CPU:
            return record
        return replace(record, tensors=_TensorsOn(record.tensors, self.device))

    def state(self, state: AdapterState) -> AdapterState:
        """Return `state` with its tensors on the device."""
        if self.device == CPU:
            return state
        shared = state.shared
        if shared is not None:
            shared = replace(shared, tensors=_TensorsOn(shared.tensors, self.device))
        return AdapterState(records=tuple(map(self.record, state.records)), shared=shared)


class _TensorsOn(Mapping[str, Tensor]):
    """Tensors that go to a device when they are read, so that what nobody reads stays.

    Integers, which are offsets and counts, stay on the CPU, where they are asked for one by one.
    """

    def __init__(self, tensors: Mapping[str, Tensor], device: torch.device) -> None:
        self._tensors, self._device = tensors, device

    def __getitem__(self, name: str) -> Tensor:
        tensor = self._tensors[name]
        return tensor.to(self._device) if tensor.is_floating_point() else tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)
