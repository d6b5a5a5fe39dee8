"""CL-LoRA, DMC and DMC-OT beside methods that leave the image tower alone: `make bench-systems`.

Two suites under the vision transformer that ships: ten image sets one after the other, classes of
all sets being candidates (deploy/suites/systems-ten-sets.yaml), and CIFAR-10 in five tasks of two
classes, those learnt so far being candidates (systems-cifar10.yaml; npm gives the images). Beside
the accuracies a table says

    kB a task      what a task adds: its record
    kB a version   what the last version has besides: the state that its tasks share
    learning s     seconds of processors for all tasks
    request        an image from its pixels to its answer, in forwards of the encoder's own tower

CIFAR-10 takes two cores less than an hour for three seeds; the ten sets take longer. What is
measured is kept run by run and task by task: stopped or killed, the same command goes on from
there. Writes benchmarks/out/systems.json.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import torch
import yaml

from benchmarks.absent import need_images
from benchmarks.cifar10 import cifar10
from benchmarks.table import Row, grid, judged
from cluster.cli.bench import measure
from cluster.config import home
from cluster.evaluation.benching import SuiteFolders, opened
from harness.results import RunName, orders_and_runs
from harness.sequence_run import SequenceRun
from harness.suite import Suite, read_suite
from harness.table import Columns, figures

SUITES = Path("deploy/suites")
TEN_SETS, CIFAR10 = "systems-ten-sets", "systems-cifar10"
BY_IMAGE = ("dual_rail",)
"""Methods that solve with every image they have seen, and refuse more than 20,000."""

COLUMNS: Columns = {
    "Transfer": lambda run: run.transfer if run.square else None,
    "Average": lambda run: run.average if run.square else run.average_of_images,
    "Last": lambda run: run.last if run.square else run.last_of_images,
    "kB a task": lambda run: _records(run) / len(run.steps) / 1e3,
    "kB a version": lambda run: run.steps[-1].shared_bytes / 1e3 or None,
    "learning s": lambda run: run.processor_s,
    "request": lambda run: run.finish.request_cost,
}


@click.command()
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the ten image sets.")
@click.option("--encoder", help="Another encoder than the suites name: a folder.")
@click.option("--suite", "only", type=click.Choice([TEN_SETS, CIFAR10]), help="One of the two.")
@click.option("--seeds", type=click.IntRange(min=1), help="Only the first N seeds.")
@click.option("--parallel", default=2, help="Runs at once.")
@click.option("--whole", is_flag=True, help="All images of CIFAR-10, for machines with a card.")
def main(
    root: Path | None,
    encoder: str | None,
    only: str | None,
    seeds: int | None,
    parallel: int,
    whole: bool,
) -> None:
    """Measure both suites and print their tables."""
    if only != CIFAR10:
        need_images(read_suite(SUITES / f"{TEN_SETS}.yaml", root=root), remedy="name it by --root")
    kept, rows = home() / "systems", list[Row]()
    for name in (CIFAR10, TEN_SETS) if only is None else (only,):
        folder = cifar10(kept).parent if name == CIFAR10 else root
        changes: dict[str, Any] = {"encoder": {"model": encoder}} if encoder else {}
        if whole and name == CIFAR10:
            changes |= {"name": f"{name}-whole", "shots": None, "tests": None}
        path = written(name, kept, root=folder, changes=changes)
        rows += measured(path, seeds=seeds, parallel=1 if torch.cuda.is_available() else parallel)
    sys.exit(judged("systems", rows))


def written(name: str, folder: Path, *, root: Path | None, changes: Mapping[str, Any]) -> Path:
    """Write the suite called `name` with what is changed of it into `folder`; return the file."""
    source = SUITES / f"{name}.yaml"
    suite = yaml.safe_load(source.read_text()) | changes
    suite["root"] = str((root or source.parent / suite["root"]).resolve())
    if suite["shots"] is None:
        suite["methods"] = [line for line in suite["methods"] if line["method"] not in BY_IMAGE]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{suite['name']}.yaml"
    path.write_text(yaml.safe_dump(suite, sort_keys=False))
    return path


def measured(path: Path, *, seeds: int | None, parallel: int) -> list[Row]:
    """Measure what is left of a suite, print its table and return its figures."""
    results, cache = path.with_suffix(""), home() / "features"
    place = SuiteFolders(suite=path.absolute(), results=results.absolute(), cache=cache.absolute())
    measuring = opened(place)
    measuring.suite = replace(measuring.suite, seeds=measuring.suite.seeds[:seeds])
    measure(measuring, place, parallel=parallel)
    return table(measuring.suite, measuring.finished(), measuring.zero_shot("I").mean)


def table(suite: Suite, runs: Mapping[RunName, SequenceRun], zero_shot: float) -> list[Row]:
    """Print the table of the suite's only order, and return its figures."""
    by_title = orders_and_runs(suite, runs)["I"]
    found = {title: figures(of_title, COLUMNS) for title, of_title in by_title.items() if of_title}
    used = [each for each in COLUMNS if any(line[each] for line in found.values())]
    lines = [["encoder alone", *(f"{zero_shot:.1f}" if each == "Last" else "" for each in used)]]
    lines += [[title, *(str(line[each] or "–") for each in used)] for title, line in found.items()]
    grid(f"{suite.name}, {len(suite.seeds)} seeds", ["method", *used], lines)
    return [
        Row(figure=f"{suite.name}, {title}: {heading}", value=round(figure.mean, 3))
        for title, line in found.items()
        for heading, figure in line.items()
        if figure is not None
    ]


def _records(run: SequenceRun) -> int:
    """Return the bytes of all records."""
    return sum(step.kept_bytes - step.shared_bytes for step in run.steps)


if __name__ == "__main__":
    main()
