"""What grows with tasks and classes, and how fast: `make bench-scale`.

    python -m benchmarks.scale [--part learning] [--missing]

Every part is a module `scale_NAME` beside this one, whose `figures` gives its lines. Seconds are of
the processor, on one thread: other work beside them counts little, and ratios count most. Prints a
table for each part and writes it to benchmarks/out/scale_NAME.json, of which it draws the curves of
the documentation, as `python -m benchmarks.scale_curves` does; says how long each part took. What
was stopped goes on with `--missing`, which takes parts that have figures from there. Exits with 1
when a bar does not hold.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

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
from benchmarks.scale_curves import draw
from benchmarks.table import OUT, Row, kept_rows, report

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
TOOK = "this part took"


@click.command()
@click.option("--part", "parts", multiple=True, default=tuple(PARTS), type=click.Choice([*PARTS]))
@click.option("--missing", is_flag=True, help="Only parts that have no figures yet.")
def main(parts: Sequence[str], missing: bool) -> None:
    """Measure PARTS, all of them where none is named, and draw the curves."""
    torch.set_num_threads(1)
    failed = taken({part: PARTS[part] for part in parts}, missing=missing)
    if not draw():
        click.echo("no curves: matplotlib is not installed")
    sys.exit(failed)


def taken(
    parts: Mapping[str, Callable[[], Iterable[Row]]], *, missing: bool, out: Path = OUT
) -> int:
    """Report each of `parts` as soon as it is measured, then how long all took; return the code.

    Args:
        parts: By name what measures each.
        missing: Whether those that have figures in `out` are not measured again.
        out: Where figures are written.
    """
    failed, minutes = 0, dict[str, float]()
    for part, figures in parts.items():
        rows = whole_rows(part, out) if missing else []
        rows = rows or measured(figures)
        failed |= report(f"scale_{part}", rows, out)
        minutes[part] = next(float(row.value) for row in rows if row.figure == TOOK)
    return failed | report("scale", _minutes(minutes), out)


def whole_rows(part: str, out: Path = OUT) -> list[Row]:
    """Return the rows that a part has from before; none where it was measured by itself.

    It may have been measured at fewer sizes then.
    """
    rows = kept_rows(f"scale_{part}", out) or []
    return rows if any(row.figure == TOOK for row in rows) else []


def measured(figures: Callable[[], Iterable[Row]]) -> list[Row]:
    """Return the rows of a part, and the CPU time that they took."""
    started = _cpu_s()
    rows = list(figures())
    return [*rows, Row(figure=TOOK, value=(_cpu_s() - started) / 60, unit="CPU min")]


def _cpu_s() -> float:
    """Return the CPU time of this process and of those that it has started."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _minutes(minutes: Mapping[str, float]) -> list[Row]:
    """Return the lines that say how long parts took, and all of them."""
    total = sum(minutes.values())
    bar, holds = f"at most {MOST_MINUTES:.0f}", total <= MOST_MINUTES
    return [
        *(Row(figure=f"part {part}", value=took, unit="CPU min") for part, took in minutes.items()),
        Row(figure="all of these", value=total, unit="CPU min", bar=bar, holds=holds),
    ]


if __name__ == "__main__":
    main()
