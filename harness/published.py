"""Published figures to print beside measured ones, in percent: Transfer, Average, Last.

LADA: Luo et al., ICML 2025, Tables 1, 2, 5 and 6, ten sets, CLIP ViT-B/16. Its tables hold
the figures of the other methods, too. None where a table says nothing.

CL-LoRA: He et al., CVPR 2025, Table 1 as others quote it, and what the toolbox LibContinual got by
running it again; class-incremental, an ImageNet ViT-B/16 without text. The table of VIs, class-
incremental on CLIP ViT-B/16 of LAION-400M under seed 1993, holds figures of many methods; its
setting, "10 increments", is taken for ten tasks. Of DMC's tables nothing is known here.
"""

from collections.abc import Mapping
from typing import NamedTuple


class PublishedFigures(NamedTuple):
    """One line of a published table.

    Attributes:
        method: As the table calls it.
        transfer: Percent.
        average: Percent.
        last: Percent.
    """

    method: str
    transfer: float | None
    average: float | None
    last: float | None


PUBLISHED: Mapping[str, Mapping[str, tuple[PublishedFigures, ...]]] = {
    "xtail-16-shot": {
        "I": (
            PublishedFigures("zero-shot", None, 57.7, 57.7),
            PublishedFigures("LwF", 47.7, 53.2, 62.8),
            PublishedFigures("WiSE-FT", 52.3, 54.2, 58.0),
            PublishedFigures("ZSCL", 59.0, 60.0, 63.4),
            PublishedFigures("MoE-Adapters", 56.0, 63.0, 70.5),
            PublishedFigures("Primal-RAIL", None, 71.1, 81.4),
            PublishedFigures("Dual-RAIL", None, 71.3, 82.3),
            PublishedFigures("LADA", 61.5, 72.7, 83.1),
        ),
        "II": (
            PublishedFigures("LwF", 46.9, 52.0, 55.4),
            PublishedFigures("WiSE-FT", 51.1, 56.9, 61.5),
            PublishedFigures("ZSCL", 56.9, 63.6, 69.4),
            PublishedFigures("MoE-Adapters", 50.2, 61.8, 71.7),
            PublishedFigures("Primal-RAIL", None, 67.3, 81.8),
            PublishedFigures("Dual-RAIL", None, 67.5, 82.5),
            PublishedFigures("LADA", 56.7, 68.9, 83.3),
        ),
    },
    "xtail-full-shot": {
        "I": (
            PublishedFigures("zero-shot", None, 57.7, 57.7),
            PublishedFigures("LwF", 45.3, 54.2, 63.9),
            PublishedFigures("WiSE-FT", 40.9, 49.2, 67.8),
            PublishedFigures("ZSCL", 59.0, 64.5, 72.1),
            PublishedFigures("MoE-Adapters", 56.4, 67.2, 77.3),
            PublishedFigures("Primal-RAIL", None, 72.8, 84.0),
            PublishedFigures("LADA", 61.9, 75.2, 86.9),
        ),
        "II": (
            PublishedFigures("LwF", 46.6, 52.9, 59.6),
            PublishedFigures("WiSE-FT", 45.2, 52.7, 54.2),
            PublishedFigures("ZSCL", 54.2, 65.1, 70.1),
            PublishedFigures("MoE-Adapters", 52.7, 65.1, 73.5),
            PublishedFigures("Primal-RAIL", None, 68.4, 84.1),
            PublishedFigures("LADA", 55.4, 69.2, 86.9),
        ),
    },
    "cifar100": {
        "I": (
            PublishedFigures("CL-LoRA, ImageNet tower", None, 91.02, 85.32),
            PublishedFigures("CL-LoRA, ImageNet tower, LibContinual", None, 90.31, 84.93),
        ),
    },
    "imagenet-r": {
        "I": (
            PublishedFigures("CL-LoRA, ImageNet tower", None, 81.58, 74.51),
            PublishedFigures("CL-LoRA, ImageNet tower, LibContinual", None, 81.40, 73.27),
        ),
    },
    "imagenet-a": {
        "I": (PublishedFigures("CL-LoRA, ImageNet tower", None, 70.15, 60.54),),
    },
    "vtab": {
        "I": (
            PublishedFigures("CL-LoRA, ImageNet tower", None, 94.57, 94.29),
            PublishedFigures("CL-LoRA, ImageNet tower, its log", None, 94.57, 94.00),
        ),
    },
    "cifar100-10-tasks": {
        "I": (
            PublishedFigures("SimpleCIL", None, 84.15, 76.63),
            PublishedFigures("ACIL", None, 89.41, 83.73),
            PublishedFigures("RanPAC", None, 89.3, 83.18),
            PublishedFigures("RAPF", None, 86.14, 78.04),
            PublishedFigures("CLG-CBM", None, 86.58, 80.15),
            PublishedFigures("PROOF", None, 86.77, 79.11),
            PublishedFigures("BOFA", None, 86.07, 79.19),
            PublishedFigures("VIs", None, 90.64, 85.26),
        ),
    },
    "imagenet-r-10-tasks": {
        "I": (
            PublishedFigures("SimpleCIL", None, 81.06, 74.48),
            PublishedFigures("ACIL", None, 82.60, 77.45),
            PublishedFigures("RanPAC", None, 85.19, 79.78),
            PublishedFigures("RAPF", None, 81.26, 70.48),
            PublishedFigures("CLG-CBM", None, 84.64, 78.50),
            PublishedFigures("PROOF", None, 83.84, 78.40),
            PublishedFigures("BOFA", None, 84.53, 78.77),
            PublishedFigures("VIs", None, 86.05, 80.58),
        ),
    },
    "cub200": {
        "I": (
            PublishedFigures("SimpleCIL", None, 83.81, 77.52),
            PublishedFigures("ACIL", None, 84.18, 78.75),
            PublishedFigures("RanPAC", None, 86.81, 80.49),
            PublishedFigures("RAPF", None, 79.09, 62.77),
            PublishedFigures("CLG-CBM", None, 85.37, 78.24),
            PublishedFigures("PROOF", None, 82.31, 76.64),
            PublishedFigures("BOFA", None, 86.66, 80.58),
            PublishedFigures("VIs", None, 87.59, None),
        ),
    },
    "ucf101": {
        "I": (
            PublishedFigures("SimpleCIL", None, 90.44, 85.68),
            PublishedFigures("ACIL", None, 98.71, 97.54),
            PublishedFigures("RanPAC", None, 98.28, 96.82),
            PublishedFigures("RAPF", None, 92.28, 80.33),
            PublishedFigures("CLG-CBM", None, 95.04, 91.36),
            PublishedFigures("PROOF", None, 94.58, 91.10),
            PublishedFigures("BOFA", None, 93.19, 88.71),
        ),
    },
}
