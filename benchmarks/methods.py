"""All methods side by side on real CLIP features: `make bench-methods`.

    python -m benchmarks.methods [--methods gda,lada] [--seeds 3]

Caltech101, Oxford Flowers, Oxford Pets and Stanford Cars on cached features of CLIP ViT-B/32. There
are no text features: anchors are class means, and candidates are the classes learnt so far. Methods
that fuse scores of their own with text logits run alone there. Prints a table and writes
benchmarks/out/methods-sequence.json. On images: `nacre bench xtail deploy/suites/ten-sets.yaml`.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import torch

from adapters.methods import measured_method
from benchmarks.absent import need_features
from benchmarks.feature_sets import SEQUENCE, default_folder, feature_set
from benchmarks.table import Row, grid, judged
from harness.measured_set import MeasuredSet
from harness.sequence import run_sequence
from harness.sequence_run import SequenceRun

_TOLERANCE = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One line of a table.

    Attributes:
        label: What it is called there.
        method: The method's name.
        settings: Its settings.
        drawn: Whether anything is drawn by seed on fixed training images.
        known: Mean accuracy after the last task by an independent implementation, if there is one.
        bytes_for: What the method keeps, where it is not its records: fixed bytes and per class.
    """

    label: str
    method: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    drawn: bool = True
    known: float | None = None
    bytes_for: tuple[int, int] | None = None


_ALONE = {"fusion": "alone"}
_EPOCHS = {"epochs": 30}
# Validation images would choose them badly: the anchors, class means, know these images.
_USUAL = {"alpha": 1.0, "beta": 1.0}
# 15,000 x 15,000 float32 in all, and a row of weights per class.
_PRIMAL_BYTES = (4 * 15_000**2, 4 * 15_000)
ON_SEQUENCE = (
    Entry(label="nearest class mean", method="nearest_mean", drawn=False, known=80.4),
    Entry(label="Tip-Adapter", method="tip_adapter", settings=_USUAL, drawn=False),
    Entry(label="Tip-Adapter-F", method="tip_adapter_f", settings=_USUAL),
    Entry(label="own-metric classifiers", method="own_metric", settings=_ALONE, drawn=False),
    Entry(label="GDA", method="gda", settings=_ALONE, drawn=False, known=87.0),
    Entry(label="RanPAC", method="ran_pac"),
    Entry(label="Dual-RAIL", method="dual_rail", settings=_ALONE, drawn=False, known=87.5),
    Entry(
        label="LADA, memory alone",
        method="lada",
        settings={"text": "none", **_EPOCHS},
        known=84.9,
    ),
    Entry(
        label="LADA, residual anchors",
        method="lada",
        settings={"text": "residual", **_EPOCHS},
        known=86.3,
    ),
    Entry(
        label="Primal-RAIL (harness)",
        method="primal_rail",
        settings=_ALONE,
        drawn=False,
        bytes_for=_PRIMAL_BYTES,
    ),
    Entry(label="probe, no replay (harness)", method="probe", settings=_EPOCHS),
    Entry(label="probe, replay (harness)", method="probe_replay", settings=_EPOCHS),
    Entry(label="joint (harness)", method="joint", settings=_EPOCHS),
)


@click.command()
@click.option("--features", type=click.Path(path_type=Path), default=default_folder())
@click.option("--methods", default="", help="Only these methods, with commas between.")
@click.option("--seeds", default=3, help="Runs of whatever is drawn.")
@click.option("--threads", default=1, help="Threads of the products.")
def main(features: Path, methods: str, seeds: int, threads: int) -> None:
    """Measure all methods on the sequence."""
    torch.set_num_threads(threads)
    need_features(features, SEQUENCE)
    wanted = [name for name in methods.split(",") if name]
    sets = [feature_set(name, folder=features) for name in SEQUENCE]
    sys.exit(table("methods-sequence", chosen(ON_SEQUENCE, wanted), sets, seeds))


def chosen(entries: Sequence[Entry], wanted: Sequence[str]) -> list[Entry]:
    """Return the entries of the methods `wanted`, all of them where none are named."""
    return [entry for entry in entries if not wanted or entry.method in wanted]


def table(name: str, entries: Sequence[Entry], sets: Sequence[MeasuredSet], seeds: int) -> int:
    """Measure `entries` on `sets`, print a line for each, and return the exit code."""
    lines, rows = [], list[Row]()
    for entry in entries:
        line, figures = measured(entry, sets, seeds)
        lines.append(line)
        rows += judged_rows(entry, figures)
    grid(name, ["method", *HEADINGS], lines)
    return judged(name, rows)


def measured(
    entry: Entry, sets: Sequence[MeasuredSet], seeds: int
) -> tuple[list[str], dict[str, float | None]]:
    """Learn `sets` with `entry`; return its line of the table and the figures in it."""
    runs = [
        run_sequence(
            measured_method(entry.method),
            sets,
            settings=[entry.settings] * len(sets),
            seed=seed,
            candidates="seen",
        )
        for seed in range(seeds if entry.drawn else 1)
    ]
    figures = summary(entry, runs)
    click.echo(f"{entry.label}: {figures}", err=True)
    return [entry.label, *(shown(value) for value in figures.values())], figures


HEADINGS = (
    "Average",
    "Last",
    "spread",
    "worst drop",
    "learning s",
    "building s",
    "scoring ms",
    "kB a class",
)


def summary(entry: Entry, runs: Sequence[SequenceRun]) -> dict[str, float | None]:
    """Return the figures of a line: means over seeds, and the range of Last over them."""
    lasts = [run.last for run in runs]
    kept = fmean(run.kept_bytes / run.classes for run in runs)
    if entry.bytes_for is not None:
        kept = entry.bytes_for[0] / runs[0].classes + entry.bytes_for[1]
    values = (
        fmean(run.average for run in runs),
        fmean(lasts),
        max(lasts) - min(lasts) if len(runs) > 1 else None,
        max(run.worst_drop for run in runs),
        fmean(run.learning_s for run in runs),
        fmean(run.finish.building_s for run in runs),
        fmean(run.finish.scoring_ms for run in runs),
        kept / 1e3,
    )
    return dict(zip(HEADINGS, values, strict=True))


def shown(value: float | None) -> str:
    """Return a figure as the table has it."""
    return "–" if value is None else f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}"


def judged_rows(entry: Entry, figures: Mapping[str, float | None]) -> list[Row]:
    """Return the figures for the JSON file; Last has a bar where somebody else measured it."""
    rows = []
    for heading, value in figures.items():
        if value is None:
            continue
        known = entry.known if heading == "Last" else None
        rows.append(
            Row(
                figure=f"{entry.label}: {heading}",
                value=round(value, 3),
                bar=None if known is None else f"{known} +- {_TOLERANCE}",
                holds=None if known is None else abs(value - known) <= _TOLERANCE,
            )
        )
    return rows


if __name__ == "__main__":
    main()
