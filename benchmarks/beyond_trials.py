"""Ablations of classifiers in their own metrics: `python -m benchmarks.beyond_trials`.

Settings and variants are compared on training images alone: those of each class are cut into eight
parts, seven are learnt, and accuracy after the last task is measured on the one that is left, over
several of the parts. Two collections: cached features of CLIP ViT-B/32 (four sets) and the ten sets
of deploy/suites/ten-sets.yaml under the encoder that comes with nacre. Candidates are the classes
learnt; text takes no part.

With `--uneven` every second class of the CLIP features keeps one image, or four, of those that are
learnt: what the rule for classes of few images is worth.

Takes about a quarter of an hour. Writes benchmarks/out/beyond-trials.json.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import torch
from torch import Tensor

from adapters.contract.adapter_state import AdapterState
from adapters.contract.method import Method, Scorer
from adapters.contract.records import Record
from adapters.methods.own_metric.dense import DenseScorer, RecordClassifier, TaskMetric
from adapters.methods.own_metric.method import OwnMetric
from adapters.methods.own_metric.whitening import Whitening, squared_distances
from adapters.parts.statistics import Statistic
from benchmarks.absent import need_features, need_images
from benchmarks.feature_sets import SEQUENCE, default_folder, feature_set
from benchmarks.table import Row, grid, judged
from cluster.config import home
from harness.measured_set import MeasuredSet
from harness.sequence import run_sequence
from harness.sequence_run import SequenceRun
from harness.suite import read_suite
from harness.xtail import Xtail

PARTS = 8
TEN_SETS = Path("deploy/suites/ten-sets.yaml")


class _NothingBetween(DenseScorer):
    """Classifiers as they are, nothing between tasks."""

    def between(self, position: int, features: Tensor) -> Tensor:  # noqa: ARG002
        return features.new_zeros(len(features), 1)


class _Density(DenseScorer):
    """The log density of the nearest Gaussian, determinant and all."""

    def between(self, position: int, features: Tensor) -> Tensor:
        # The inverse factor is triangular.
        log_volume = self._metrics[position].inverse.diagonal().log().sum()
        return super().between(position, features) + self._settings.sharpness * log_volume


class _ClassifiersAlone(DenseScorer):
    """No distances within a task."""

    def within(self, position: int, features: Tensor, text_logits: Tensor) -> Tensor:
        return self._classifiers[position].log_probabilities(features, text_logits, sharpness=0.0)


class _OfEachClass(_ClassifiersAlone):
    """Distances in the version's metric alone, of every class its own and not the nearest."""

    def within(self, position: int, features: Tensor, text_logits: Tensor) -> Tensor:
        own = self._metrics[position]
        distances = squared_distances(own.points(features), own.means)
        probabilities = super().within(position, features, text_logits)
        return probabilities - self._settings.sharpness / 2 * distances

    def between(self, position: int, features: Tensor) -> Tensor:  # noqa: ARG002
        return features.new_zeros(len(features), 1)


class _CommonDistance(DenseScorer):
    """The distance in one metric for all tasks."""

    def __init__(self, records: tuple[Record, ...], *, before: DenseScorer | None = None) -> None:
        super().__init__(records, before=before)
        common, shrinkage = self._common, self._settings.shrinkage
        self._metrics = tuple(
            TaskMetric.of(
                record,
                Whitening.of(
                    common,
                    common,
                    centre=record.tensors["means"].double().mean(dim=0),
                    shrinkage=shrinkage,
                ),
            )
            for record in records
        )


class _PresentClassifiers(DenseScorer):
    """Classifiers in the metric of the version, where they have that of their learning
    otherwise.
    """

    def __init__(self, records: tuple[Record, ...], *, before: DenseScorer | None = None) -> None:
        super().__init__(records, before=before)
        self._present = [self.classifier(record, self._common) for record in records]

    def within(self, position: int, features: Tensor, text_logits: Tensor) -> Tensor:
        return self._present[position].log_probabilities(
            features, text_logits, sharpness=self._settings.sharpness
        )


class _NoOffsets(DenseScorer):
    """Classifiers of uneven classes as they were trained, without what is added to their logits."""

    def classifier(self, record: Record, common: Statistic) -> RecordClassifier:
        return super().classifier(record, common)._replace(offsets=None)


class _Variant(OwnMetric):
    """The method with another scorer.

    Args:
        scorer: Its type.
    """

    def __init__(self, scorer: type[DenseScorer]) -> None:
        self._type = scorer

    def scorer(self, state: AdapterState) -> Scorer:
        return self._type(state.records)


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One line of the table."""

    label: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    method: Method = field(default_factory=OwnMetric)


def _varied() -> Iterator[Trial]:
    values: Mapping[str, Sequence[Any]] = {
        "shrinkage": (0.1, 0.3, 1.0),
        "pull": (0.01, 0.03, 0.3),
        "stretch": (1.0, 2.0),
        "scale": (10.0, 40.0),
        "sharpness": (0.02, 0.1),
    }
    for name, others in values.items():
        for value in others:
            yield Trial(label=f"{name} {value:g}", settings={name: value})


TRIALS = (
    Trial(label="as it comes"),
    *_varied(),
    Trial(label="anchors not tuned", settings={"steps": 0}),
    Trial(label="classifiers in the version's metric", method=_Variant(_PresentClassifiers)),
    Trial(label="distance in one metric for all", method=_Variant(_CommonDistance)),
    Trial(label="log density: with determinants", method=_Variant(_Density)),
    Trial(label="no distances within a task", method=_Variant(_ClassifiersAlone)),
    Trial(label="distances in the version's metric alone", method=_Variant(_OfEachClass)),
    Trial(label="nothing between tasks", method=_Variant(_NothingBetween)),
)


UNEVEN = (
    Trial(label="as it comes"),
    Trial(label="rule plain", settings={"rule": "plain"}),
    Trial(
        label="rule plain, no distances within a task",
        settings={"rule": "plain"},
        method=_Variant(_ClassifiersAlone),
    ),
    Trial(label="losses alone", method=_Variant(_NoOffsets)),
)
FEW = (1, 4)


@click.command()
@click.option("--features", type=click.Path(path_type=Path), default=default_folder())
@click.option("--parts", default=6, help=f"How many of the {PARTS} parts are left out in turn.")
@click.option("--only", default="", help="Only lines whose label has this in it.")
@click.option("--threads", default=1, help="Threads of the products.")
@click.option("--uneven", is_flag=True, help="Classes of few images beside others, on CLIP alone.")
def main(features: Path, parts: int, only: str, threads: int, *, uneven: bool) -> None:
    """Measure all trials on both collections."""
    torch.set_num_threads(threads)
    need_features(features, SEQUENCE)
    if uneven:
        left_out = {
            f"every second class {count}": [
                [thinned(part_of(one, part), count) for one in sets]
                for sets in _feature_sets(features)
                for part in range(parts)
            ]
            for count in FEW
        }
    else:
        left_out = _left_out(features, parts)
    headings = [*left_out, "sum", *(f"worst drop, {name}" for name in left_out)]
    lines, rows = [], list[Row]()
    for trial in UNEVEN if uneven else TRIALS:
        if only not in trial.label:
            continue
        runs = [[_run(trial, sets) for sets in several] for several in left_out.values()]
        lasts = [fmean(run.last for run in several) for several in runs]
        drops = [fmean(run.worst_drop for run in several) for several in runs]
        values = [*lasts, sum(lasts), *drops]
        click.echo(f"{trial.label}: {values}", err=True)
        lines.append([trial.label, *(f"{value:.2f}" for value in values)])
        rows += [
            Row(figure=f"{trial.label}: {name}", value=round(value, 3))
            for name, value in zip(headings, values, strict=True)
        ]
    grid("beyond-trials", ["", *headings], lines)
    sys.exit(judged("beyond-trials", rows))


def _left_out(features: Path, parts: int) -> dict[str, list[list[MeasuredSet]]]:
    """Return both collections, each part of their training images left out in turn."""
    need_images(read_suite(TEN_SETS), remedy=f"put them there, or change `root:` in {TEN_SETS}")
    collections = {
        "CLIP, 4 sets": _feature_sets(features),
        "tiny, 10 sets": _image_sets(),
    }
    return {
        name: [[part_of(one, part) for one in sets] for sets in several for part in range(parts)]
        for name, several in collections.items()
    }


def thinned(measured: MeasuredSet, count: int) -> MeasuredSet:
    """Return a set of which every second class keeps `count` training images."""
    task = measured.task
    rank = torch.zeros_like(task.labels)
    for index in range(0, len(task.classes), 2):
        own = (task.labels == index).nonzero()[:, 0]
        rank[own] = torch.arange(len(own))
    kept = rank < count
    return replace(
        measured, task=replace(task, features=task.features[kept], labels=task.labels[kept])
    )


def _feature_sets(folder: Path) -> list[list[MeasuredSet]]:
    return [[feature_set(name, folder=folder) for name in SEQUENCE]]


def _image_sets() -> list[list[MeasuredSet]]:
    suite = read_suite(TEN_SETS)
    xtail = Xtail(suite, results=Path("benchmarks/out"), cache=home() / "features")
    return [xtail.measured_sets(order, seed) for order in suite.orders for seed in suite.seeds[:2]]


def part_of(measured: MeasuredSet, part: int, *, parts: int = PARTS) -> MeasuredSet:
    """Return a set whose test images are one part of the training images of each class."""
    task = measured.task
    rank = torch.zeros_like(task.labels)
    for index in range(len(task.classes)):
        own = (task.labels == index).nonzero()[:, 0]
        order = torch.randperm(len(own), generator=torch.Generator().manual_seed(index))
        rank[own[order]] = torch.arange(len(own))
    tested = rank % parts == part
    return replace(
        measured,
        task=replace(task, features=task.features[~tested], labels=task.labels[~tested]),
        test_features=task.features[tested, 0],
        test_labels=task.labels[tested],
    )


def _run(trial: Trial, sets: Sequence[MeasuredSet]) -> SequenceRun:
    return run_sequence(
        trial.method,
        sets,
        settings=[{"fusion": "alone", **trial.settings}] * len(sets),
        seed=0,
        candidates="seen",
    )


if __name__ == "__main__":
    main()
