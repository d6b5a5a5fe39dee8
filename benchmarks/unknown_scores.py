"""Scores that could tell what nobody has taught, tried on training images alone.

    python -m benchmarks.unknown_scores [--draws 700] [--root FOLDER]

`own_metric` learns three quarters of the training images of the ten sets of
deploy/suites/ten-sets.yaml, one after another. Each set is then dropped in turn, and its training
images are told from the other quarter of those of the nine. Every score is of the task that an
image is answered with, and of its record alone:

    familiarity   as `adapters.familiarity` has it, of the metric as it is, of its diagonal, of the
                  mean of that, and of its widest directions alone, as a record of LADA keeps them
    cosine, distance, second, neighbour, relative, from the centre
                  its two parts; how far the second class is behind; the cosine with the nearest
                  training image; the distance to a class less that to all of the task (relative
                  Mahalanobis); and how far an image is from the middle of the class means, as the
                  encoder reads it
    within        log p of the answer among the classes of its task, as `own_metric` has it
    less half     familiarity less half of what it is in the median of held-out images of the task
    drawn         so many weighted sums of distance, cosine, second, neighbour, from the centre,
                  within and that median; the best one by sets and then by AUROC, and the same
                  chosen without each set and looked at on it

`moves` are scores that later tasks change: the log probability of the answer among all classes
beside familiarity, and log Σ exp of all scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

import click
import torch
from torch import Tensor
from torch.linalg import cholesky, solve_triangular
from torch.nn.functional import normalize

from adapters.adapter import Adapter
from adapters.contract.records import Record
from adapters.contract.task_features import Spread, TaskFeatures
from adapters.familiarity import DIRECTION, TaskMetric, held_out_familiarity
from adapters.methods import method_named
from adapters.parts.spreads import Directions
from adapters.parts.statistics import class_means
from adapters.parts.validation import ValidationParts, validation_parts
from benchmarks.absent import need_images
from benchmarks.table import grid
from benchmarks.unknown import TEN_SETS, auroc, false_positives, learnt_together
from cluster.config import home
from harness.measured_set import MeasuredSet
from harness.suite import read_suite
from harness.xtail import Xtail

METHOD = "own_metric"
RANKS = (8, 16, 32, 64)
MOST = {"cosine": 2.5, "from the centre": 2.0, "second": 1.0, "neighbour": 1.0, "within": 0.4}
"""Weights are drawn up to these, beside a distance of weight one; three of four are zero."""
LESS = 0.4
"""The same of the median of held-out images."""


class Task:
    """What the record of a task and its training images say of images.

    Args:
        record: As `own_metric` leaves it.
        task: The images that it was learnt from.
    """

    # Owns: nothing that changes once it is made.

    def __init__(self, record: Record, task: TaskFeatures) -> None:
        method = method_named(METHOD)
        spread = method.spread(record)
        covariance = spread.covariance
        self._metric = TaskMetric.of(spread)
        mean = covariance.trace() / len(covariance) * torch.eye(len(covariance)).double()
        others = {"diagonal": covariance.diagonal().diag(), "mean variance": mean}
        for rank in RANKS:
            others[f"{rank} directions"] = Directions.of(covariance, most=rank).covariance
        self._others = {
            f"familiarity, {name}": TaskMetric.of(Spread(spread.means, other))
            for name, other in others.items()
        }
        self._images = self._placed(task.features[:, 0])
        middles = self._metric.means  # their mean is zero, and an image spreads about its own by I
        whole = middles.t() @ middles / len(middles)
        whole.diagonal().add_(1.0)
        self._whole = cholesky(whole)
        self.median = float(held_out_familiarity(task, method).median())
        self.means = normalize(class_means(task), dim=-1)

    def scores(self, images: Tensor) -> dict[str, Tensor]:
        """Return what is said of (N, D) images, each (N,) float64."""
        points, means = self._placed(images), self._metric.means
        cosines = normalize(points, dim=1) @ normalize(means, dim=1).t()
        squares = torch.cdist(points, means).square()
        best = cosines.topk(min(2, cosines.shape[1]), dim=1).values
        neighbours = normalize(points, dim=1) @ normalize(self._images, dim=1).t()
        whole = solve_triangular(self._whole, points.t(), upper=False).square().sum(dim=0)
        found = {
            "cosine": best[:, 0],
            "distance": -squares.amin(dim=1) / 100,
            "second": best[:, 0] - best[:, -1],
            "neighbour": neighbours.amax(dim=1),
            "relative": (whole - squares.amin(dim=1)) / 100,
            "from the centre": -(images.double() - self._metric.centre).square().sum(dim=1),
            "median": torch.full((len(images),), self.median).double(),
        }
        found["familiarity"] = DIRECTION * found["cosine"] + found["distance"]
        return found | {name: other.familiarity(images) for name, other in self._others.items()}

    def _placed(self, images: Tensor) -> Tensor:
        around = (images.double() - self._metric.centre).t()
        solved: Tensor = solve_triangular(self._metric.factor, around, upper=False)
        return solved.t()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LeftOut:
    """What is said where a set has been dropped.

    Attributes:
        known: By score, of the validation images of the nine.
        unknown: The same of the training images of the set.
        base: AUROC of the better baseline.
    """

    known: Mapping[str, Tensor]
    unknown: Mapping[str, Tensor]
    base: float


@click.command()
@click.option("--draws", default=700, help="So many weighted sums.")
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the image sets.")
def main(draws: int, root: Path | None) -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    suite = read_suite(TEN_SETS, root=root)
    need_images(suite, remedy="name their folder with --root")
    xtail = Xtail(suite, results=Path("benchmarks/out"), cache=home() / "features")
    (order,) = suite.orders
    sets = xtail.measured_sets(order, suite.seeds[0])
    parts = [validation_parts(one.task, seed=0) for one in sets]
    kept = [replace(one, task=part.kept) for one, part in zip(sets, parts, strict=True)]
    records = learnt_together(kept).records
    tasks = [Task(record, one.task) for record, one in zip(records, kept, strict=True)]
    found = [_left_out(place, sets, parts, records, tasks) for place in range(len(sets))]
    _print_scores(found, [one.task.task for one in sets])
    _print_drawn(found, [one.task.task for one in sets], draws)


def _left_out(
    out: int,
    sets: Sequence[MeasuredSet],
    parts: Sequence[ValidationParts],
    records: Sequence[Record],
    tasks: Sequence[Task],
) -> LeftOut:
    """Return what is said where the set at `out` has been dropped."""
    places = [place for place in range(len(sets)) if place != out]
    adapter = Adapter([records[place] for place in places])
    groups = (
        torch.cat([parts[place].features for place in places]),
        sets[out].task.features[:, 0],
    )
    scale, found, base = sets[out].text.logit_scale, [], []
    sizes = torch.tensor([len(records[place].classes) for place in places])
    owners = torch.repeat_interleave(torch.arange(len(places)), sizes)
    means = torch.cat([tasks[place].means for place in places])
    for images in groups:
        values = adapter.score(images, encoder=adapter.encoder, logit_scale=scale).values
        answered, said = owners[values.argmax(dim=1)], dict[str, Tensor]()
        sure = values.log_softmax(dim=1).amax(dim=1).double()
        for number, place in enumerate(places):
            own = answered == number
            told = tasks[place].scores(images[own])
            told["within"] = (
                values[own][:, owners == number].log_softmax(dim=1).amax(dim=1).double()
            )
            for name, rows in told.items():
                said.setdefault(name, torch.zeros(len(images)).double())[own] = rows
        said["familiarity less half"] = said["familiarity"] - said["median"] / 2
        said["moves: with log p"] = said["familiarity"] + sure / 5
        said["moves: less half, with log p"] = said["familiarity less half"] + sure / 5
        said["moves: energy"] = values.logsumexp(dim=1).double()
        found.append(said)
        base.append((sure, (images @ means.t()).amax(dim=1)))
    (known, unknown), (of_known, of_unknown) = found, base
    pairs = zip(of_known, of_unknown, strict=True)
    return LeftOut(known=known, unknown=unknown, base=max(auroc(*pair) for pair in pairs))


def _print_scores(found: Sequence[LeftOut], names: Sequence[str]) -> None:
    lines = []
    for score in found[0].known:
        if score == "median":
            continue
        areas = [auroc(each.known[score], each.unknown[score]) for each in found]
        passing = [false_positives(each.known[score], each.unknown[score]) for each in found]
        better = sum(area > each.base for area, each in zip(areas, found, strict=True))
        figures = [f"{100 * area:.1f}" for area in areas]
        lines.append(
            [
                score,
                str(better),
                f"{100 * fmean(areas):.1f}",
                f"{100 * fmean(passing):.0f}",
                *figures,
            ]
        )
    lines.sort(key=lambda line: (int(line[1]), float(line[2])), reverse=True)
    lines.insert(0, ["better baseline", "", "", "", *(f"{100 * each.base:.1f}" for each in found)])
    grid(
        "unknown: scores on training images (AUROC, %)",
        ["score", "sets above both", "mean", "passing", *names],
        lines,
    )


def _print_drawn(found: Sequence[LeftOut], names: Sequence[str], draws: int) -> None:
    """Print the best of weighted sums, and what is chosen without each set."""
    chance, scores = torch.Generator().manual_seed(0), ["distance", *MOST, "median"]
    weights = torch.zeros(draws, len(scores)).double()
    weights[:, 0] = 1
    for column, most in enumerate([*MOST.values(), -LESS], 1):
        drawn = most * torch.rand(draws, generator=chance).double()
        is_there = torch.rand(draws, generator=chance) < (1 if column == 1 else 0.25)
        weights[:, column] = torch.where(is_there, drawn, 0.0)
    areas = torch.zeros(draws, len(found)).double()
    for place, each in enumerate(found):
        known, unknown = (
            weights @ torch.stack([of[score] for score in scores])
            for of in (each.known, each.unknown)
        )
        areas[:, place] = torch.tensor(
            [auroc(*pair) for pair in zip(known, unknown, strict=True)]
        ).double()
    bases = torch.tensor([each.base for each in found]).double()

    def best(places: Sequence[int]) -> int:
        better = (areas[:, places] > bases[places]).sum(dim=1)
        return int((better + areas[:, places].mean(dim=1)).argmax())

    every = range(len(found))
    chosen = best(every)
    lines = []
    for place in every:
        alone = best([other for other in every if other != place])
        figures = (areas[chosen, place], areas[alone, place], bases[place])
        lines.append([names[place], *(f"{100 * float(figure):.1f}" for figure in figures)])
    said = ", ".join(
        f"{float(weight):.2f} {score}"
        for weight, score in zip(weights[chosen], scores, strict=True)
        if weight
    )
    grid(
        f"unknown: the best of {draws} sums, {said} (AUROC, %)",
        ["set", "chosen with all", "chosen without it", "better baseline"],
        lines,
    )


if __name__ == "__main__":
    main()
