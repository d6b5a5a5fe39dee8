"""Calibrations of DMC-OT on real drift: `make bench-drift`.

The ten sets of deploy/suites/ten-sets.yaml under the encoder that ships, 16 images a class, learnt
one after the other with `adapter: feature`. The matrix does not depend on the calibration, and the
images of old classes are known here, so that it is known where their Gaussians are in the end. Of
each calibration the table says

    position    the error of the class means that is left, 1 without calibration
    spread      the same of the covariances, in the Frobenius norm
    gaussians   accuracy of the nearest Gaussian on test images of old classes, classes of all sets
    Last        accuracy of the version itself, prompts learnt with what was replayed

Prints the table and writes benchmarks/out/drift.json.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import torch
from torch import Tensor

from adapters.adapter import Adapter
from adapters.contract.adapter_state import AdapterState
from adapters.contract.learning import learn
from adapters.contract.training_inputs import TrainingInputs
from adapters.methods import METHODS
from adapters.methods.dmc.class_statistics import ClassStatistics
from adapters.methods.dmc.image_change import changed_features
from adapters.methods.dmc.record import statistics_of
from adapters.methods.dmc.shared_state import DmcState
from benchmarks.absent import need_images
from benchmarks.table import Row, grid, judged
from cluster.config import home
from harness.image_sets import read_image_sets
from harness.measured_set import Drawing, Embedding, MeasuredSet, accuracy, few_shot
from harness.suite import read_suite
from workers.encoding.encoder import Encoder

SUITE = Path("deploy/suites/ten-sets.yaml")
LINES: Sequence[tuple[str, str, Mapping[str, Any]]] = (
    ("DMC: none, one context", "dmc", {}),
    *(
        (f"DMC-OT: {name}", "dmc_ot", {"calibrate": name})
        for name in ("none", "shift", "transport", "paired", "sldc", "exact")
    ),
)
HEADINGS = ("position", "spread", "gaussians", "Last")
Figures = dict[str, float | None]


@click.command()
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the image sets.")
@click.option("--tests", default=8, help="Most test images of a class.")
@click.option("--seeds", default=3, help="Runs of every line.")
@click.option("--threads", default=1, help="Threads of the products.")
def main(root: Path | None, tests: int, seeds: int, threads: int) -> None:
    """Measure, print and judge."""
    torch.set_num_threads(threads)
    need_images(read_suite(SUITE, root=root), remedy="name their folder with --root")
    found: dict[str, list[Figures]] = {}
    for seed in range(seeds):
        sets = measured_sets(root, seed=seed, tests=tests)
        for label, method, settings in LINES:
            figures = measured(method, settings, sets, seed=seed)
            found.setdefault(label, []).append(figures)
            click.echo(f"{label}, seed {seed}: {figures}", err=True)
    means = {label: mean_figures(each) for label, each in found.items()}
    lines = [
        [label, *("–" if value is None else f"{value:.2f}" for value in figures.values())]
        for label, figures in means.items()
    ]
    grid("drift", ["calibration", *HEADINGS], lines)
    sys.exit(judged("drift", rows_of(means)))


def measured_sets(root: Path | None, *, seed: int, tests: int) -> list[MeasuredSet]:
    """Return the sets of the suite with at most `tests` test images of a class."""
    suite = read_suite(SUITE, root=root)
    embedding = Embedding(Encoder(suite.encoder), cache=home() / "features")
    sets = []
    for one in read_image_sets(suite).values():
        test = few_shot(one.test, one.classes, shots=tests, seed=0)
        drawing = Drawing(shots=suite.shots, seed=seed)
        sets.append(embedding.measured(replace(one, test=test), drawing))
    return sets


def measured(
    method: str, settings: Mapping[str, Any], sets: Sequence[MeasuredSet], *, seed: int
) -> Figures:
    """Learn `sets` one after the other, and return the figures of a line."""
    state = AdapterState()
    for each in sets:
        chosen = {"adapter": "feature", **settings}
        inputs = TrainingInputs(
            task=each.task, past=state, text=each.text, settings=chosen, seed=seed
        )
        state = learn(METHODS[method], inputs)
    adapter = Adapter(state.records, shared=state.shared)
    last = 100 * fmean(accuracy(adapter, each, None) for each in sets)
    if settings.get("calibrate") == "exact":
        # These statistics are of the features before the matrix, where nothing has drifted.
        return {"position": None, "spread": None, "gaussians": None, "Last": last}
    return {**errors(state, sets), "Last": last}


def errors(state: AdapterState, sets: Sequence[MeasuredSet]) -> Figures:
    """Return how far the statistics of the version are from the truth."""
    shared = DmcState.of(state)
    matrix = shared.change["matrix"]
    kept = [statistics_of(record, ()) for record in state.records]
    found = [statistics_of(record, shared.chain) for record in state.records]
    true = [
        ClassStatistics.measured(
            changed_features(each.task.features[:, 0], matrix),
            each.task.labels,
            kind="pooled",
            shrinkage=0.1,
        )
        for each in sets
    ]
    old = range(len(sets) - 1)
    return {
        "position": left(old, found, kept, true, lambda one: one.means),
        "spread": left(old, found, kept, true, lambda one: one.covariance),
        "gaussians": 100
        * fmean(
            nearest_gaussian(found, changed_features(sets[task].test_features, matrix))
            .eq(sets[task].test_labels + sum(len(one.means) for one in found[:task]))
            .double()
            .mean()
            .item()
            for task in old
        ),
    }


def left(
    tasks: Sequence[int],
    found: Sequence[ClassStatistics],
    kept: Sequence[ClassStatistics],
    true: Sequence[ClassStatistics],
    part: Any,
) -> float:
    """Return the error of one part of the statistics against that without calibration."""
    return fmean(
        float((part(found[task]) - part(true[task])).norm())
        / float((part(kept[task]) - part(true[task])).norm())
        for task in tasks
    )


def nearest_gaussian(statistics: Sequence[ClassStatistics], features: Tensor) -> Tensor:
    """Return the column of the Gaussian under which each of (N, D) features is likeliest."""
    columns = []
    for each in statistics:
        half = torch.linalg.cholesky(each.covariance)
        spread = 2 * half.diagonal().log().sum() + len(half) * each.scales.log()
        points = torch.linalg.solve_triangular(half, features.double().t(), upper=False).t()
        means = torch.linalg.solve_triangular(half, each.means.t(), upper=False).t()
        columns.append(-(torch.cdist(points, means) ** 2 / each.scales + spread) / 2)
    return torch.cat(columns, dim=1).argmax(dim=1)


def mean_figures(runs: Sequence[Figures]) -> Figures:
    """Return the means over seeds; None where nothing is measured."""
    return {
        name: None
        if any(run[name] is None for run in runs)
        else fmean(run[name] or 0.0 for run in runs)
        for name in HEADINGS
    }


def rows_of(means: Mapping[str, Figures]) -> list[Row]:
    """Return every figure; calibrations must leave less error of the means than none."""
    rows = []
    for label, figures in means.items():
        for name, value in figures.items():
            if value is None:
                continue
            judges = name == "position" and "none" not in label
            rows.append(
                Row(
                    figure=f"{label}: {name}",
                    value=round(value, 3),
                    bar="below 1" if judges else None,
                    holds=value < 1 if judges else None,
                )
            )
    return rows


if __name__ == "__main__":
    main()
