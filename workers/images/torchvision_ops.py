"""Make `import torchvision` work next to a torch build that lacks torchvision's operators.

PyPI's torchvision is compiled against the CUDA build of torch. Beside a CPU build of the same
version its compiled library does not load, and the import stops at `operator torchvision::nms does
not exist`. nacre uses torchvision for its image transforms only, so it is enough to declare the
schemas of the two operators that the import looks up. Where the import succeeds as it is, nothing
is declared.
"""

import importlib
import sys

import torch

_MISSING_OPERATOR = "operator torchvision::nms does not exist"
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
# A library's declarations live as long as the object that made them.
_declarations: list[torch.library.Library] = []


def ensure_torchvision_imports() -> None:
    """Import torchvision, declaring its missing operators first where only they are missing.

    Raises:
        RuntimeError: the import fails for any other reason than the missing operators.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if _MISSING_OPERATOR not in str(error):
            raise
        _forget_half_imported()
        _declare_operators()
        importlib.import_module("torchvision")


def _forget_half_imported() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]


def _declare_operators() -> None:
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(operator + _SCHEMA)  # type: ignore[no-untyped-call]
    _declarations.append(library)
