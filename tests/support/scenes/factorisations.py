"""How many matrices are factorised."""

from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Factorisations(TorchFunctionMode):
    """Counts matrices that are factorised meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func in (torch.linalg.cholesky, torch.linalg.eigh, torch.linalg.svd)
        return func(*args, **(kwargs or {}))
