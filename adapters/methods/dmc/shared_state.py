"""Shared state of DMC: the image change, the chain of maps, and on the text side what moves on.

Tensors of it, float32:

    change/NAME      the parameters of the image change, by name
    map_matrices     (T, D (D + 1) / 2), upper triangles, or (T, D, D), of the chain's T maps; none
                     where all of them are shifts
    map_offsets      (T, D)
    context          (m, W), the learnt vectors that later tasks take over
    text/TASK        (C, D), with a shared context: the text features of each task under it

The chain is whole in every version, so that a version needs nothing but its own blobs: a record
says how many maps there were when its statistics were measured, and all later ones apply to it.

Shapes: D feature width · W width of the text tower · C classes of a task
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor

from adapters.contract.adapter_state import AdapterState
from adapters.errors import CorruptionError
from adapters.methods.dmc.calibration import AffineMap
from adapters.methods.dmc.settings import Calibrate
from adapters.parts.symmetric import packed, unpacked

_CHANGE, _TEXT = "change/", "text/"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DmcState:
    """What the tasks of a version share.

    Attributes:
        change: Parameters of the image change, by name.
        chain: Maps, oldest first.
        context: (m, W); None where no prompts are learnt.
        text: With a shared context, the text features of every task, (C, D) by its name.
    """

    change: Mapping[str, Tensor]
    chain: tuple[AffineMap, ...] = ()
    context: Tensor | None = None
    text: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, state: AdapterState) -> Self:
        """Return what the version's shared state says.

        Raises:
            CorruptionError: it has none, or one whose tensors do not fit each other.
        """
        if state.shared is None:
            raise CorruptionError(
                "version of DMC: expected a shared state, found none; publish it again from its "
                "submissions, or roll back"
            )
        tensors = state.shared.tensors
        return cls(
            change=_below(_CHANGE, tensors),
            chain=_chain(tensors),
            context=tensors.get("context"),
            text=_below(_TEXT, tensors),
        )

    def tensors(self, calibrate: Calibrate) -> dict[str, Tensor]:
        """Return the tensors, maps in the form of the calibration that made them."""
        tensors = {f"{_CHANGE}{name}": _kept(each) for name, each in self.change.items()}
        tensors |= {f"{_TEXT}{task}": _kept(each) for task, each in self.text.items()}
        if self.context is not None:
            tensors["context"] = _kept(self.context)
        return tensors | _chain_tensors(self.chain, calibrate)

    def required(self, *names: str) -> list[Tensor]:
        """Return parameters of the change; CorruptionError where one is missing."""
        missing = [name for name in names if name not in self.change]
        if missing:
            raise CorruptionError(
                f"shared state of DMC: expected the parameters {list(names)}, found none called "
                f"{missing}"
            )
        return [self.change[name] for name in names]

    def check(self) -> None:
        """Raise CorruptionError unless the parameters fit each other, and the texts."""
        widths = {text.shape[-1] for text in self.text.values()}
        widths |= {len(each.offset) for each in self.chain}
        texts = [*self.text.values(), *([] if self.context is None else [self.context])]
        match dict(self.change):
            case {"matrix": matrix, **rest} if not rest:
                fits = matrix.ndim == 2 and {*matrix.shape, *widths} == {len(matrix)}
            case {"down": down, "up": up, **rest} if not rest:
                fits = down.ndim == 4 and down.shape[1] == 2 and up.shape == down.mT.shape
            case _:
                fits = False
        if not fits or len(widths) > 1 or any(text.ndim != 2 for text in texts):
            raise CorruptionError(
                "shared state of DMC: expected a matrix (D, D), or down (L, 2, r, d) and up "
                f"(L, 2, d, r), and texts and maps of one width, found {self._shapes()}"
            )

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        named = {**self.change, **self.text}
        return {name: tuple(each.shape) for name, each in named.items()}


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)
    }


def _kept(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().float().contiguous()


def _chain_tensors(chain: Sequence[AffineMap], calibrate: Calibrate) -> dict[str, Tensor]:
    if not chain:
        return {}
    tensors = {"map_offsets": torch.stack([each.offset for each in chain]).float()}
    if calibrate == "transport":
        tensors["map_matrices"] = torch.stack([packed(each.matrix) for each in chain])
    elif calibrate != "shift":
        tensors["map_matrices"] = torch.stack([each.matrix for each in chain]).float()
    return tensors


def _chain(tensors: Mapping[str, Tensor]) -> tuple[AffineMap, ...]:
    offsets, stored = tensors.get("map_offsets"), tensors.get("map_matrices")
    if offsets is None:
        if stored is not None:
            raise CorruptionError(
                "shared state of DMC: expected an offset of every map, found none"
            )
        return ()
    width = offsets.shape[-1]
    if stored is None:
        matrices = [torch.eye(width, dtype=torch.float64)] * len(offsets)
    elif stored.ndim == 2:
        matrices = [unpacked(each) for each in stored]
    else:
        matrices = [each.double() for each in stored]
    if len(matrices) != len(offsets) or any(each.shape != (width, width) for each in matrices):
        raise CorruptionError(
            f"shared state of DMC: expected {len(offsets)} maps of width {width}, found "
            f"{[tuple(each.shape) for each in matrices]}"
        )
    return tuple(
        AffineMap(matrix=matrix, offset=offset.double())
        for matrix, offset in zip(matrices, offsets, strict=True)
    )
