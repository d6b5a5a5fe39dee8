"""The curves of the documentation: `python -m benchmarks.scale_curves`.

Draws docs/scale.svg of what `make bench-scale` has written, part by part; a part that was not
measured has no panel.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.table import OUT
from harness.pages.drawing import pyplot

PICTURE = Path(__file__).parents[1] / "docs" / "scale.svg"


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """One picture of some curves.

    Attributes:
        part: Whose figures they are.
        title: What is shown, with its unit.
        along: What grows to the right.
        curves: By label, the pattern of the figures on it; its group is the place along the axis.
    """

    part: str
    title: str
    along: str
    curves: Mapping[str, str]


PANELS = (
    Panel(
        part="learning",
        title="one step of learning, s",
        along="old classes",
        curves={
            "drawn anew": r"drawn anew \(before\), ([\d,]+) old classes: a step",
            "bank of all": r"bank of all, ([\d,]+) old classes: a step",
            "sampled bank": r"sampled bank, ([\d,]+) old classes: a step",
        },
    ),
    Panel(
        part="scoring",
        title="one image scored, tasks of ten classes, ms",
        along="tasks",
        curves={
            "bare product": r"([\d,]+) tasks of 10 classes, 1 images: bare product",
            "float32": r"([\d,]+) tasks of 10 classes, 1 images: float32",
            "bfloat16": r"([\d,]+) tasks of 10 classes, 1 images: bfloat16",
        },
    ),
    Panel(
        part="opening",
        title="opening and following, ms",
        along="tasks",
        curves={
            "read and checked": r"([\d,]+) tasks of 10 classes, from a folder: read and checked",
            "ready": r"([\d,]+) tasks of 10 classes, from a folder: ready, float32",
            "one more followed": r"([\d,]+) tasks of 10 classes: one more followed, float32",
        },
    ),
    Panel(
        part="queue",
        title="registry, CPU s",
        along="tasks",
        curves={
            "the next task published": r"published, the next task, ([\d,]+) tasks",
            "a commit": r"commit, ([\d,]+) tasks",
            "verify": r"verify, ([\d,]+) tasks",
            "each byte read once": r"bare reading of all bytes, ([\d,]+) tasks",
        },
    ),
)


def points(rows: Sequence[Mapping[str, object]], pattern: str) -> list[tuple[float, float]]:
    """Return where a curve goes through; of figures in several units, the seconds."""
    found = []
    for row in rows:
        match = re.fullmatch(pattern, str(row["figure"]))
        if match and row["unit"] not in ("requests", "bytes read"):
            value = str(row["value"]).split(",")[0]
            found.append((float(match[1].replace(",", "")), float(value)))
    return sorted(found)


@click.command()
def main() -> None:
    """Draw all parts that were measured."""
    if not draw():
        click.echo(
            "expected matplotlib and the figures of `make bench-scale`; run `make install` and that"
        )
        sys.exit(2)
    click.echo(f"wrote {PICTURE}")


def draw(out: Path = OUT, picture: Path = PICTURE) -> bool:
    """Draw all parts that were measured; return whether there was anything to draw with and of."""
    plot = pyplot()
    measured = {path.stem: json.loads(path.read_text()) for path in out.glob("scale_*.json")}
    panels = [panel for panel in PANELS if f"scale_{panel.part}" in measured]
    if plot is None or not panels:
        return False
    plot.rcParams["svg.hashsalt"] = "nacre"  # the same figures, the same bytes
    figure, axes = plot.subplots(1, len(panels), figsize=(4.2 * len(panels), 3.4), squeeze=False)
    for place, panel in zip(axes[0], panels, strict=True):
        for label, pattern in panel.curves.items():
            curve = points(measured[f"scale_{panel.part}"], pattern)
            place.loglog([x for x, _ in curve], [y for _, y in curve], marker="o", label=label)
        place.set_title(panel.title, fontsize=10)
        place.set_xlabel(panel.along)
        place.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(picture, metadata={"Date": None})
    return True


if __name__ == "__main__":
    main()
