"""What grows with tasks and classes, and how fast: `make bench-scale`.

    python -m benchmarks.scale [--part learning]

Every part is a module `scale_NAME` beside this one, whose `figures` gives its lines. Seconds are of
the processor, on one thread: other work beside them counts little, and ratios count most. Prints a
table, writes benchmarks/out/scale.json, and exits with 1 when a bar does not hold.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

import click
import torch

from benchmarks import (
    scale_formats,
    scale_learning,
    scale_metric,
    scale_opening,
    scale_queue,
    scale_scoring,
)
from benchmarks.table import Row, report

PARTS: Mapping[str, Callable[[], Iterable[Row]]] = {
    "learning": scale_learning.figures,
    "scoring": scale_scoring.figures,
    "formats": scale_formats.figures,
    "opening": scale_opening.figures,
    "metric": scale_metric.figures,
    "queue": scale_queue.figures,
}


@click.command()
@click.option("--part", "parts", multiple=True, default=tuple(PARTS), type=click.Choice([*PARTS]))
def main(parts: Sequence[str]) -> None:
    """Measure PARTS, all of them where none is named."""
    torch.set_num_threads(1)
    sys.exit(report("scale", [row for part in parts for row in PARTS[part]()]))


if __name__ == "__main__":
    main()
