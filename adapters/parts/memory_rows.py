"""Memory rows of one tile in the format in which a placement keeps them, ready for products.

Shapes: N images · D feature width · B rows
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from adapters.contract.memory_format import MemoryFormat
from adapters.contract.tiles import room_for
from adapters.parts.products import products_of_few


class MemoryRows(ABC):
    """B rows and their biases."""

    @abstractmethod
    def prepared(self, features: Tensor) -> Tensor:
        """Return (N, D) float32 features as products want them; once for all tiles."""

    @abstractmethod
    def exponents(self, features: Tensor) -> Tensor:
        """Return product and bias of prepared features, (N, B) float32, in either order."""

    @property
    @abstractmethod
    def nbytes(self) -> int:
        """Bytes in memory."""


class Float32Rows(MemoryRows):
    """Rows as records hold them.

    Args:
        rows: (B, D) float32.
        bias: (B,) float32.
    """

    def __init__(self, rows: Tensor, bias: Tensor) -> None:
        self._rows, self._bias = rows, bias

    def prepared(self, features: Tensor) -> Tensor:
        return features

    def exponents(self, features: Tensor) -> Tensor:
        return products_of_few(self._bias, self._rows, features)

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes + self._bias.nbytes


class Bfloat16Rows(MemoryRows):
    """Rows rounded to bfloat16: half the bytes. Sums are float32; only their result is rounded.

    The bias is added before that, so that the exponents near zero, which count, are the exact ones.

    Args:
        rows: (B, D) float32.
        bias: (B,) float32.
        packs: Whether oneDNN multiplies; None where it can.
        scratch: (B, D) bfloat16 that is written on the way where it does; None makes it anew.
    """

    def __init__(
        self,
        rows: Tensor,
        bias: Tensor,
        *,
        packs: bool | None = None,
        scratch: Tensor | None = None,
    ) -> None:
        self._packs = multiplies_bfloat16(rows.device) if packs is None else packs
        given = scratch if self._packs else None
        if given is None:
            given = room_for(rows.shape, torch.bfloat16, rows.device)
        halved = given.copy_(rows)
        self._rows = torch.ops.mkldnn._reorder_linear_weight(halved, 1) if self._packs else halved
        self._bias = bias.to(torch.bfloat16)
        lost = (bias - self._bias.float()).nan_to_num_()  # of minus infinity nothing is lost
        # Elsewhere than on the CPU asking would wait for the device.
        self._lost = lost if rows.device.type != "cpu" or lost.any() else None
        self._nbytes = halved.nbytes + self._bias.nbytes

    def prepared(self, features: Tensor) -> Tensor:
        return features.to(torch.bfloat16)

    def exponents(self, features: Tensor) -> Tensor:
        found = self._product(features).float()
        return found if self._lost is None else found.add_(self._lost)

    def _product(self, features: Tensor) -> Tensor:
        if self._packs:
            product: Tensor = torch.ops.mkldnn._linear_pointwise(
                features, self._rows, self._bias, "none", [], ""
            )
            return product
        if features.device.type == "cpu":
            # Without the hardware a tile is widened in the cache; memory is read in half its bytes.
            return torch.addmm(self._bias.float(), features.float(), self._rows.float().t())
        return torch.addmm(self._bias, features, self._rows.t())

    @property
    def nbytes(self) -> int:
        return self._nbytes


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether oneDNN multiplies packed bfloat16 rows there, as AVX-512 and AMX let it.

    It packs rows once; torch's own products would pack them anew for every image.
    """
    operators = torch.ops.mkldnn
    return (
        device.type == "cpu"
        and all(
            hasattr(operators, name) for name in ("_linear_pointwise", "_reorder_linear_weight")
        )
        and bool(operators._is_mkldnn_bf16_supported())
    )


def memory_rows(
    rows: Tensor, bias: Tensor, *, kept: MemoryFormat, scratch: Tensor | None = None
) -> MemoryRows:
    """Return (B, D) float32 `rows` with their `bias` in the format `kept`; see `Bfloat16Rows`."""
    if kept == "float32":
        return Float32Rows(rows, bias)
    return Bfloat16Rows(rows, bias, scratch=scratch)
