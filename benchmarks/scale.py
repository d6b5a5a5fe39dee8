"""What grows with tasks and classes, and how fast: `make bench-scale`.

    python -m benchmarks.scale [--part learning]

Every part is a module `scale_NAME` beside this one, whose `figures` gives its lines. Seconds are of
the processor, on one thread: other work beside them counts little, and ratios count most. Prints a
table for each part and writes it to benchmarks/out/scale_NAME.json, of which `python -m
benchmarks.scale_curves` draws the curves of the documentation; says how long each part took. Exits
with 1 when a bar does not hold.
"""

import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import click
import torch

from benchmarks import (
    scale_formats,
    scale_learning,
    scale_memory,
    scale_metric,
    scale_mixtures,
    scale_opening,
    scale_queue,
    scale_scoring,
)
from benchmarks.table import Row, report

PARTS: Mapping[str, Callable[[], Iterable[Row]]] = {
    "learning": scale_learning.figures,
    "mixtures": scale_mixtures.figures,
    "scoring": scale_scoring.figures,
    "formats": scale_formats.figures,
    "opening": scale_opening.figures,
    "memory": scale_memory.figures,
    "metric": scale_metric.figures,
    "queue": scale_queue.figures,
}
MOST_MINUTES = 25.0


@click.command()
@click.option("--part", "parts", multiple=True, default=tuple(PARTS), type=click.Choice([*PARTS]))
def main(parts: Sequence[str]) -> None:
    """Measure PARTS, all of them where none is named."""
    torch.set_num_threads(1)
    failed, taken = 0, dict[str, float]()
    for part in parts:
        started = time.process_time()
        failed |= report(f"scale_{part}", list(PARTS[part]()))
        taken[part] = (time.process_time() - started) / 60
    sys.exit(failed | report("scale", _minutes(taken)))


def _minutes(taken: Mapping[str, float]) -> list[Row]:
    """Return the lines that say how long parts took, and all of them."""
    total = sum(taken.values())
    bar, holds = f"at most {MOST_MINUTES:.0f}", total <= MOST_MINUTES
    return [
        *(Row(figure=f"part {part}", value=took, unit="CPU min") for part, took in taken.items()),
        Row(figure="all of these", value=total, unit="CPU min", bar=bar, holds=holds),
    ]


if __name__ == "__main__":
    main()
