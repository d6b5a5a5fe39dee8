"""Calibrations of DMC-OT on real drift: `make bench-drift`.

The ten sets of deploy/suites/ten-sets.yaml under the encoder that ships, 16 images a class, learnt
one after the other with `adapter: feature`. The matrix does not depend on the calibration, and the
images of old classes are known here, so that it is known where their Gaussians are in the end. Of
each calibration the table says

    position    the error of the class means that is left, 1 without calibration
    spread      the same of the covariances, in the Frobenius norm
    gaussians   accuracy of the nearest Gaussian on test images of old classes, classes of all sets
    Last        accuracy of the version itself, prompts learnt with what was replayed

A map is fitted to the images of one set and applied to the classes of others, which is the hard
case. The easy one is a second table: caltech101 alone, its classes cut into five tasks.

Three seeds draw images and parameters; half of the 95 % confidence interval stands behind the mean.
Prints both tables and writes benchmarks/out/drift.json.
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
from adapters.methods.dmc.record import measured_statistics, statistics_of
from adapters.methods.dmc.settings import WITH_MAPS
from adapters.methods.dmc.shared_state import DmcState
from benchmarks.absent import need_images
from benchmarks.table import Row, grid, judged
from cluster.config import home
from harness.image_sets import read_image_sets
from harness.measured_set import Drawing, Embedding, MeasuredSet, accuracy, few_shot
from harness.suite import read_suite
from harness.table import Figure
from workers.encoding.encoder import Encoder

SUITE = Path("deploy/suites/ten-sets.yaml")
LINES: Sequence[tuple[str, str, Mapping[str, Any]]] = (
    *(
        (f"DMC-OT: {name}", "dmc_ot", {"calibrate": name})
        for name in ("none", "shift", "transport", "paired", "sldc", "exact")
    ),
    ("DMC: none, one context", "dmc", {}),
)
_BAR = 0.6
ONE_SET, PARTS = "caltech101", 5
HEADINGS = ("position", "spread", "gaussians", "Last")
Figures = dict[str, float | None]
Means = dict[str, Figure | None]


@click.command()
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the image sets.")
@click.option("--tests", default=8, help="Most test images of a class.")
@click.option("--seeds", default=3, help="Runs of every line.")
@click.option("--threads", default=1, help="Threads of the products.")
def main(root: Path | None, tests: int, seeds: int, threads: int) -> None:
    """Measure, print and judge."""
    torch.set_num_threads(threads)
    need_images(read_suite(SUITE, root=root), remedy="name their folder with --root")
    found, parts = dict[str, list[Figures]](), dict[str, list[Figures]]()
    for seed in range(seeds):
        sets = measured_sets(root, seed=seed, tests=tests)
        for label, figures in within_one_set(sets, seed=seed).items():
            parts.setdefault(label, []).append(figures)
            click.echo(f"{label}, seed {seed}: {figures}", err=True)
        for label, method, settings in LINES:
            figures = measured(method, settings, sets, seed=seed)
            found.setdefault(label, []).append(figures)
            click.echo(f"{label}, seed {seed}: {figures}", err=True)
    of_sets, of_parts = means_of(found), means_of(parts)
    grid(f"drift over ten sets, {seeds} seeds", ["calibration", *HEADINGS], shown(of_sets))
    grid(f"drift within {ONE_SET}, {seeds} seeds", ["calibration", *HEADINGS], shown(of_parts))
    sys.exit(judged("drift", [*rows_of(of_sets), *rows_of(of_parts)]))


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


def within_one_set(sets: Sequence[MeasuredSet], *, seed: int) -> dict[str, Figures]:
    """Return the figures of every calibration on one set whose classes are cut into tasks."""
    whole = next(one for one in sets if one.task.task == ONE_SET)
    parts = [part_of(whole, place) for place in range(PARTS)]
    return {
        f"{ONE_SET}: {name}": measured("dmc_ot", {"calibrate": name}, parts, seed=seed)
        for name in ("none", *WITH_MAPS, "exact")
    }


def part_of(whole: MeasuredSet, place: int) -> MeasuredSet:
    """Return the part of a set at `place`, as a task of its own."""
    task, text = whole.task, whole.text
    count = len(task.classes)
    start, end = place * count // PARTS, (place + 1) * count // PARTS
    learnt_from = (task.labels >= start) & (task.labels < end)
    tested = (whole.test_labels >= start) & (whole.test_labels < end)
    return replace(
        whole,
        task=replace(
            task,
            task=f"{task.task}-{place}",
            classes=task.classes[start:end],
            features=task.features[learnt_from],
            labels=task.labels[learnt_from] - start,
        ),
        text=replace(text, features=text.features[start:end]),
        test_features=whole.test_features[tested],
        test_labels=whole.test_labels[tested] - start,
    )


def measured(
    method: str, settings: Mapping[str, Any], sets: Sequence[MeasuredSet], *, seed: int
) -> Figures:
    """Learn `sets` one after the other, and return the figures of a line."""
    state = learnt(method, settings, sets, seed=seed)
    # Either of features before the matrix, where nothing has drifted, or not calibrated.
    unknown = settings.get("calibrate") == "exact" or method == "dmc"
    adapter = Adapter(state.records, shared=state.shared)
    return {
        **dict.fromkeys(HEADINGS),
        **({} if unknown else errors(state, sets)),
        "Last": 100 * fmean(accuracy(adapter, each, None) for each in sets),
    }


def learnt(
    method: str, settings: Mapping[str, Any], sets: Sequence[MeasuredSet], *, seed: int
) -> AdapterState:
    """Return the last version after `sets`."""
    state = AdapterState()
    for each in sets:
        chosen = {"adapter": "feature", **settings}
        inputs = TrainingInputs(
            task=each.task, past=state, text=each.text, settings=chosen, seed=seed
        )
        state = learn(METHODS[method], inputs)
    return state


def errors(state: AdapterState, sets: Sequence[MeasuredSet]) -> Figures:
    """Return how far the statistics of the version are from the truth."""
    shared = DmcState.of(state)
    matrix = shared.change["matrix"]
    kept = [measured_statistics(record) for record in state.records]
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


def means_of(found: Mapping[str, Sequence[Figures]]) -> dict[str, Means]:
    """Return the means over seeds by line; None where nothing is measured."""
    return {
        label: {name: _mean_of([run[name] for run in runs]) for name in HEADINGS}
        for label, runs in found.items()
    }


def _mean_of(values: Sequence[float | None]) -> Figure | None:
    measured_values = [value for value in values if value is not None]
    return Figure.of(measured_values) if len(measured_values) == len(values) else None


def shown(means: Mapping[str, Means]) -> list[list[str]]:
    """Return the lines of a table."""
    return [
        [label, *("–" if figure is None else str(figure) for figure in figures.values())]
        for label, figures in means.items()
    ]


def rows_of(means: Mapping[str, Means]) -> list[Row]:
    """Return every figure; `paired`, which docs/dmc.md advises, must leave little error."""
    rows = []
    for label, figures in means.items():
        for name, figure in figures.items():
            if figure is None:
                continue
            judges = name in ("position", "spread") and label.endswith("paired")
            rows.append(
                Row(
                    figure=f"{label}: {name}",
                    value=round(figure.mean, 3),
                    bar=f"below {_BAR}" if judges else None,
                    holds=figure.mean < _BAR if judges else None,
                )
            )
    return rows


if __name__ == "__main__":
    main()
