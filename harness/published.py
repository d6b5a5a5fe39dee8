"""Published figures to print beside measured ones, in percent: Transfer, Average, Last.

LADA: Luo et al., ICML 2025, Tables 1, 2, 5 and 6, ten sets, CLIP ViT-B/16. Its tables hold
the figures of the other methods, too. None where a table says nothing.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Published(NamedTuple):
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


PUBLISHED: Mapping[str, Mapping[str, tuple[Published, ...]]] = {
    "xtail-16-shot": {
        "I": (
            Published("zero-shot", None, 57.7, 57.7),
            Published("LwF", 47.7, 53.2, 62.8),
            Published("WiSE-FT", 52.3, 54.2, 58.0),
            Published("ZSCL", 59.0, 60.0, 63.4),
            Published("MoE-Adapters", 56.0, 63.0, 70.5),
            Published("Primal-RAIL", None, 71.1, 81.4),
            Published("Dual-RAIL", None, 71.3, 82.3),
            Published("LADA", 61.5, 72.7, 83.1),
        ),
        "II": (
            Published("LwF", 46.9, 52.0, 55.4),
            Published("WiSE-FT", 51.1, 56.9, 61.5),
            Published("ZSCL", 56.9, 63.6, 69.4),
            Published("MoE-Adapters", 50.2, 61.8, 71.7),
            Published("Primal-RAIL", None, 67.3, 81.8),
            Published("Dual-RAIL", None, 67.5, 82.5),
            Published("LADA", 56.7, 68.9, 83.3),
        ),
    },
    "xtail-full-shot": {
        "I": (
            Published("zero-shot", None, 57.7, 57.7),
            Published("LwF", 45.3, 54.2, 63.9),
            Published("WiSE-FT", 40.9, 49.2, 67.8),
            Published("ZSCL", 59.0, 64.5, 72.1),
            Published("MoE-Adapters", 56.4, 67.2, 77.3),
            Published("Primal-RAIL", None, 72.8, 84.0),
            Published("LADA", 61.9, 75.2, 86.9),
        ),
        "II": (
            Published("LwF", 46.6, 52.9, 59.6),
            Published("WiSE-FT", 45.2, 52.7, 54.2),
            Published("ZSCL", 54.2, 65.1, 70.1),
            Published("MoE-Adapters", 52.7, 65.1, 73.5),
            Published("Primal-RAIL", None, 68.4, 84.1),
            Published("LADA", 55.4, 69.2, 86.9),
        ),
    },
}
