"""Published figures to print beside measured ones, in percent: Transfer, Average, Last.

LADA: Luo et al., ICML 2025, Tables 1, 2, 5 and 6, ten sets, CLIP ViT-B/16. Its tables hold
the figures of the other methods, too. None where a table says nothing.
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
}
