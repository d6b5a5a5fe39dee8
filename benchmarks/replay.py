"""LADA's ways to replay side by side on real CLIP features: `make bench-replay`.

    python -m benchmarks.replay [--epochs 6] [--seeds 2] [--order I]

Five sets in three orders, learnt with prototypes drawn anew at each step, from a bank of all
classes, from a sampled bank as it is by default, and from one of 512 prototypes, 64 of them in a
step: beside more than 400 old classes that is thinner than the default beside 3,000. Replay of
nothing shows what there is to lose. A bank holds its bar where it is no further from what is drawn
anew than the seeds of that are from each other, or 0.2 points. On images, of ten other sets:
`nacre bench xtail benchmarks/replay.yaml`.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import torch

from adapters.methods import method_named
from benchmarks.absent import need_features
from benchmarks.feature_sets import default_folder, feature_set
from benchmarks.table import Row, report
from harness.measured_set import MeasuredSet
from harness.sequence import run_sequence
from harness.sequence_run import SequenceRun

ORDERS = {
    "I": ("caltech101", "oxford_flowers", "oxford_pets", "stanford_cars", "dtd"),
    "II": ("stanford_cars", "dtd", "caltech101", "oxford_pets", "oxford_flowers"),
    "III": ("oxford_flowers", "stanford_cars", "dtd", "oxford_pets", "caltech101"),
}
ANEW = "drawn anew"
FORMS: Mapping[str, Mapping[str, Any]] = {
    ANEW: {"replay_bank": "none"},
    "bank of all": {"replay_bank": "all"},
    "sampled bank": {"replay_bank": "sample"},
    "sampled bank of 512": {"replay_bank": "sample", "replay_classes": 16},
    "no replay": {"replay": "none"},
}
TEXTS = ("none", "residual")
LEAST_TOLERANCE = 0.2


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=default_folder())
@click.option("--epochs", default=6, help="Passes over the images of each task.")
@click.option("--seeds", default=2, help="Runs of each form.")
@click.option(
    "--order", "orders", multiple=True, default=tuple(ORDERS), type=click.Choice([*ORDERS])
)
def main(folder: Path, epochs: int, seeds: int, orders: Sequence[str]) -> None:
    """Measure the accuracy after the last task, for each form, order and text mode."""
    torch.set_num_threads(1)
    need_features(folder, ORDERS["I"])
    sets = {name: feature_set(name, folder=folder) for name in ORDERS["I"]}
    rows = []
    for text in TEXTS:
        for order in orders:
            sequence = [sets[name] for name in ORDERS[order]]
            settings = {"text": text, "epochs": epochs}
            rows += order_rows(f"text {text}, order {order}", sequence, settings, seeds=seeds)
    sys.exit(report("replay", rows))


def order_rows(
    name: str, sets: Sequence[MeasuredSet], settings: Mapping[str, Any], *, seeds: int
) -> list[Row]:
    """Return a line for each form."""
    rows, anew = [], list[float]()
    for form, more in FORMS.items():
        started = time.process_time()
        runs = [_run(sets, {**settings, **more}, seed=seed) for seed in range(seeds)]
        seconds = (time.process_time() - started) / seeds
        lasts = [run.last for run in runs]
        if form == ANEW:
            anew = lasts
        mean, tolerance = fmean(lasts), max(max(anew) - min(anew), LEAST_TOLERANCE)
        held = "bank" in form
        found = f"{mean:.2f} ± {(max(lasts) - min(lasts)) / 2:.2f}; drop {runs[0].worst_drop:.2f}"
        click.echo(f"{name}: {form}: {found}; {seconds:.0f} s", err=True)
        rows.append(
            Row(
                figure=f"{name}: {form}",
                value=f"{found}; {seconds:.0f} s",
                unit="%",
                bar=f"{fmean(anew):.2f} +- {tolerance:.2f}" if held else None,
                holds=abs(mean - fmean(anew)) <= tolerance if held else None,
            )
        )
    return rows


def _run(sets: Sequence[MeasuredSet], settings: Mapping[str, Any], *, seed: int) -> SequenceRun:
    return run_sequence(
        method_named("lada"), sets, settings=[settings] * len(sets), seed=seed, candidates="seen"
    )


if __name__ == "__main__":
    main()
