"""Classifiers in their own metrics against every other method: `make bench-beyond`.

1. Cached features of CLIP ViT-B/32: Caltech101, Oxford Flowers, Oxford Pets and Stanford Cars, the
   classes learnt so far as candidates, every method of the harness; as in benchmarks.methods.
2. The method and the best others in further orders, and with a fifth set, DTD, that no choice was
   made on.
3. The ten sets of deploy/suites/ten-sets.yaml, all classes as candidates from the beginning, every
   method that keeps a record per task, three seeds. Images are read from the suite's folder; runs
   are kept in benchmarks/out/ten-sets and go on there.

Test images are read here and nowhere else. Takes about half an hour on one core. Prints
tables and writes benchmarks/out/beyond.json. What was tried: `python -m benchmarks.beyond_trials`.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import click
import torch

from adapters.methods import METHODS
from benchmarks.absent import need_features, need_images
from benchmarks.feature_sets import SEQUENCE, default_folder, feature_set
from benchmarks.methods import HEADINGS, ON_SEQUENCE, Entry, chosen, measured
from benchmarks.table import Row, grid, report
from cluster.config import home
from harness.results import line_titled, run_names
from harness.sequence_run import SequenceRun
from harness.suite import read_suite
from harness.table import COLUMNS, figures
from harness.xtail import Xtail

OURS = "own_metric"
RIVALS = (OURS, "gda", "ran_pac", "dual_rail", "nearest_mean")
ORDERS: Mapping[str, Sequence[str]] = {
    "backwards": tuple(reversed(SEQUENCE)),
    "pets, cars, caltech, flowers": (
        "oxford_pets",
        "stanford_cars",
        "caltech101",
        "oxford_flowers",
    ),
    "with dtd": (*SEQUENCE, "dtd"),
}
TEN_SETS = Path("deploy/suites/ten-sets.yaml")
RESULTS = Path("benchmarks/out/ten-sets")
"""Where the runs on images are kept."""


@click.command()
@click.option("--features", type=click.Path(path_type=Path), default=default_folder())
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the image sets.")
@click.option("--seeds", default=3, help="Runs of whatever is drawn.")
@click.option("--threads", default=1, help="Threads of the products.")
def main(features: Path, root: Path | None, seeds: int, threads: int) -> None:
    """Measure, print and judge."""
    torch.set_num_threads(threads)
    need_features(features, {name for order in (SEQUENCE, *ORDERS.values()) for name in order})
    need_images(read_suite(TEN_SETS, root=root), remedy="name their folder with --root")
    rows = [*_on_the_sequence(features, seeds), *_in_other_orders(features, seeds)]
    sys.exit(report("beyond", [*rows, *_on_ten_sets(root, seeds)]))


def _on_the_sequence(features: Path, seeds: int) -> list[Row]:
    lasts, drops = _table("beyond: the sequence", ON_SEQUENCE, SEQUENCE, features, seeds)
    best = max(value for name, value in lasts.items() if name != OURS)
    return [
        _bar("sequence: Last", lasts[OURS], least=89.0),
        _bar("sequence: Last above the best other method", lasts[OURS] - best, least=0.5),
        _bar("sequence: worst drop", drops[OURS], most=1.0),
    ]


def _in_other_orders(features: Path, seeds: int) -> list[Row]:
    rows = []
    for name, order in ORDERS.items():
        entries = chosen(ON_SEQUENCE, RIVALS)
        lasts, drops = _table(f"beyond: {name}", entries, order, features, seeds)
        best = max(value for method, value in lasts.items() if method != OURS)
        rows += [
            _bar(f"{name}: Last above the best other", lasts[OURS] - best, least=0.5),
            _bar(f"{name}: worst drop", drops[OURS], most=1.0),
        ]
    return rows


def _table(
    title: str, entries: Sequence[Entry], order: Sequence[str], features: Path, seeds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Print a line for each entry; return the best Last and the worst drop by method."""
    sets = [feature_set(name, folder=features) for name in order]
    lines, lasts, drops = [], dict[str, float](), dict[str, float]()
    for entry in entries:
        line, found = measured(entry, sets, seeds)
        lines.append(line)
        last, drop = found["Last"], found["worst drop"]
        assert last is not None and drop is not None
        lasts[entry.method] = max(last, lasts.get(entry.method, 0.0))
        drops[entry.method] = max(drop, drops.get(entry.method, 0.0))
    grid(title, ["method", *HEADINGS], lines)
    return lasts, drops


def _on_ten_sets(root: Path | None, seeds: int) -> list[Row]:
    suite = read_suite(TEN_SETS, root=root)
    xtail = Xtail(suite, results=RESULTS, cache=home() / "features")
    by_title: dict[str, list[SequenceRun]] = {}
    for name in run_names(suite):
        if line_titled(suite, name.title).method in METHODS and name.seed < seeds:
            by_title.setdefault(name.title, []).append(xtail.run(name))
            click.echo(f"{name}: {by_title[name.title][-1].last:.1f}", err=True)
    (order,) = suite.orders
    lines = [
        [title, *("–" if figure is None else str(figure) for figure in figures(runs).values())]
        for title, runs in by_title.items()
    ]
    grid("beyond: ten sets", ["method", *COLUMNS], lines)
    lasts = {title: fmean(run.last for run in runs) for title, runs in by_title.items()}
    (title,) = [line.title for line in suite.methods if line.method == OURS]
    ours, best = by_title[title], max(value for name, value in lasts.items() if name != title)
    tasks = suite.orders[order][1:]
    zero_shot = xtail.zero_shot(order).accuracies
    untouched = fmean(zero_shot[task] for task in tasks)
    transfer = fmean(run.transfer for run in ours if run.transfer is not None)
    return [
        _bar(
            "ten sets: Last above the best other with a record per task",
            lasts[title] - best,
            least=0,
        ),
        _bar("ten sets: Transfer above the encoder's own", transfer - untouched, least=-0.5),
        _bar(
            "ten sets: worst drop, mean over seeds", fmean(run.worst_drop for run in ours), most=1
        ),
        _bar("ten sets: worst drop of any seed", max(run.worst_drop for run in ours), most=1),
    ]


def _bar(
    figure: str, value: float, *, least: float | None = None, most: float | None = None
) -> Row:
    words = f">= {least:g}" if least is not None else f"<= {most:g}"
    holds = value >= least if least is not None else most is None or value <= most
    return Row(figure=figure, value=round(value, 2), unit="points", bar=words, holds=holds)


if __name__ == "__main__":
    main()
