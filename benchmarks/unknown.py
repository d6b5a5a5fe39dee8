"""Images of a domain that nobody has taught: `make bench-unknown`.

    python -m benchmarks.unknown [--seeds 1] [--choose] [--part left-out] [--root FOLDER]

0. With `--choose`: the two numbers of `adapters.familiarity` are tried on training images alone.
   Each of the ten sets is left out in turn; the other nine are learnt from three quarters of their
   training images, and the other quarter is told from the training images of what is left out. Also
   which numbers would have been taken without each set, and how they do on it.
1. Each of the ten sets of deploy/suites/ten-sets.yaml is left out in turn; `own_metric` learns the
   other nine, and what is left out is told from their test images by several scores.
2. The same for the other methods that reject, of which each learns all ten sets, and what is left
   out is dropped.
3. Near domains: all ten sets are learnt without a tenth of the classes of each, one at least, and
   the images of those classes are told from the others.

AUROC is the probability that an image of a learnt class has a higher score than one of none. False
positives are images of no learnt class that pass where 95 % of those of learnt classes do. Images
of learnt classes are the positive ones, and a higher score is always theirs.

The last columns are of familiarity, as `predict` with `reject: 0.05` has it: which share of the
test images of learnt classes is unknown, of all tasks and of the task that has most, and which of
the others. Three further sets, on which nothing was chosen, are asked about after all ten are
learnt.

Familiarity was chosen on training images; the other scores choose nothing.
Prints tables and writes benchmarks/out/unknown.json.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from statistics import fmean

import click
import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.adapter import Adapter
from adapters.contract.adapter_state import AdapterState
from adapters.contract.learning import class_mixtures, learn
from adapters.contract.mixture import Mixture
from adapters.contract.records import Record
from adapters.contract.task_features import TaskFeatures
from adapters.contract.training_inputs import TrainingInputs
from adapters.familiarity import TaskMetric, with_thresholds
from adapters.methods import method_named
from adapters.methods.own_metric.dense import DenseScorer
from adapters.methods.own_metric.method import OwnMetric
from adapters.parts.statistics import class_means
from adapters.parts.validation import validation_parts
from benchmarks.absent import need_images
from benchmarks.table import Row, grid, report
from cluster.config import home
from harness.measured_set import MeasuredSet
from harness.suite import SetConfig, Suite, read_suite
from harness.xtail import Xtail

TEN_SETS = Path("deploy/suites/ten-sets.yaml")
BASELINES = ("maximum softmax", "nearest mean")
COMBINED = "combined"
JUDGED = "familiarity"
FURTHER = ("cifar10", "elpv_solar_cells", "svhn")
"""Sets on which nothing was chosen, where they are beside the ten."""
PARTS = ("left-out", "others", "near", "further")
SPREADS, DIRECTIONS = (0.4, 0.8, 1.3, 2.0), (0.0, 0.5, 1.0, 1.5, 2.0, 4.0)
OTHERS: Mapping[str, Mapping[str, str]] = {
    "lada": {"text": "residual"},
    "gda": {},
    "dual_rail": {},
}
"""Methods beside `own_metric` that reject, and their settings: to tune the text tower would take
minutes, and moves answers alone."""
COMPONENTS = 4
RATE = 0.05
"""Of false alarms on validation images."""
RECALL = 0.95
MOST_BAR = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """What a version says of some images.

    Attributes:
        values: (N, S), scores of all classes.
        owners: (S,) int64, the task of each class.
        between: (N, T), the distances in the metric of each task, as they enter the scores.
        cosines: (N, T), with the nearest class mean of each task.
        text: (N,), cosine with the nearest text feature.
        likelihoods: (N,), log density of the likeliest mixture; zero where none were fitted.
        familiarity: (N,), what `predict` tells.
        unknown: (N,) bool, the same at `RATE`.
    """

    values: Tensor
    owners: Tensor
    between: Tensor
    cosines: Tensor
    text: Tensor
    likelihoods: Tensor
    familiarity: Tensor
    unknown: Tensor

    @cached_property
    def tasks(self) -> Tensor:
        """The task of each answer, (N,) int64."""
        return self.owners[self.values.argmax(dim=1)]

    def of_winner(self, rows: Tensor) -> Tensor:
        """Return what (N, T) `rows` have for the task of each answer, (N,)."""
        return rows.gather(1, self.tasks[:, None])[:, 0]

    @property
    def sure(self) -> Tensor:
        """The log probability of each answer, (N,)."""
        return self.values.log_softmax(dim=1).amax(dim=1)


class Version:
    """The nine or ten tasks that `own_metric` has learnt, and their validation images.

    Args:
        sets: What is learnt, in this order.
        mixtures: Of the classes of each set; none to leave likelihoods out.
    """

    # Owns: nothing that changes once it is made.

    def __init__(
        self, sets: Sequence[MeasuredSet], mixtures: Mapping[str, Sequence[Mixture]]
    ) -> None:
        state = AdapterState()
        self._mixtures = [mixture for one in sets for mixture in mixtures.get(one.task.task, ())]
        self._scale = sets[0].text.logit_scale
        validation = []
        for one in sets:
            inputs = TrainingInputs(task=one.task, past=state, text=one.text)
            parts = validation_parts(one.task, seed=0)
            tried = _learnt(replace(inputs, task=parts.kept))
            validation.append(self._scored(tried.records, parts.features))
            state = _learnt(inputs)
        self._records = state.records
        self.middles = torch.stack(
            [found.between[:, place].median() for place, found in enumerate(validation)]
        )
        self.validation = validation

    def scored(self, features: Tensor) -> Scored:
        """Return what the version says of (N, D) images."""
        return self._scored(self._records, features)

    def combined(self, found: Scored) -> Tensor:
        """Return how probable and how near an answer is: half relative to its own task, (N,)."""
        middles = torch.zeros(found.between.shape[1])
        middles[: len(self.middles)] = self.middles[: len(middles)]
        return found.of_winner(found.between) - middles[found.tasks] / 2 + found.sure

    def _scored(self, records: Sequence[Record], features: Tensor) -> Scored:
        scorer, adapter = DenseScorer(tuple(records)), Adapter(records)
        found = adapter.score(features, encoder=adapter.encoder, logit_scale=self._scale)
        sizes = torch.tensor([len(record.classes) for record in records])
        kept = [normalize(record.tensors["means"], dim=-1) for record in records]
        text = [normalize(record.tensors["text_features"], dim=-1) for record in records]
        told = adapter.verdicts(features, found, rate=RATE)
        return Scored(
            values=found.values,
            owners=torch.repeat_interleave(torch.arange(len(records)), sizes),
            between=torch.cat(
                [scorer.between(place, features) for place in range(len(records))], dim=1
            ),
            cosines=torch.stack([(features @ rows.t()).amax(dim=1) for rows in kept], dim=1),
            text=(features @ torch.cat(text).t()).amax(dim=1),
            likelihoods=_log_density(self._mixtures, features),
            familiarity=torch.tensor([each.familiarity for each in told]),
            unknown=torch.tensor([bool(each.unknown) for each in told]),
        )


def learnt_together(sets: Sequence[MeasuredSet]) -> AdapterState:
    """Return what a version holds that has learnt these sets in their order."""
    state = AdapterState()
    for one in sets:
        state = _learnt(TrainingInputs(task=one.task, past=state, text=one.text))
    return state


def _learnt(inputs: TrainingInputs) -> AdapterState:
    """Return what the version holds once the task is learnt, its thresholds with it."""
    method = OwnMetric()
    state = learn(method, inputs)
    record = with_thresholds(method, state.records[-1], inputs.task)
    return replace(state, records=(*state.records[:-1], record))


def _log_density(mixtures: Sequence[Mixture], features: Tensor) -> Tensor:
    """Return the log density of the likeliest of spherical mixtures, (N,)."""
    if not mixtures:
        return torch.zeros(len(features))
    width = features.shape[1]
    means = torch.cat([mixture.means for mixture in mixtures])
    variances = torch.cat([mixture.variances for mixture in mixtures]).clamp(min=1e-5)
    weights = torch.cat([mixture.weights for mixture in mixtures]).log()
    squares = torch.cdist(features, means).square()
    return (weights - width / 2 * variances.log() - squares / (2 * variances)).amax(dim=1)


def scores_of(version: Version) -> Mapping[str, Callable[[Scored], Tensor]]:
    """Return the scores that are compared, by what they are called."""
    return {
        "maximum softmax": lambda found: found.sure,
        "nearest mean": lambda found: found.cosines.amax(dim=1),
        "distance": lambda found: found.between.amax(dim=1),
        "energy": lambda found: found.values.logsumexp(dim=1),
        "mixtures": lambda found: found.likelihoods,
        "text": lambda found: found.text,
        COMBINED: version.combined,
        JUDGED: lambda found: found.familiarity,
    }


def auroc(known: Tensor, unknown: Tensor) -> float:
    """Return the probability that a known image has the higher score; ties count half."""
    ordered = unknown.double().sort().values
    below = torch.searchsorted(ordered, known.double())
    upto = torch.searchsorted(ordered, known.double(), right=True)
    return float((below + upto).double().mean() / (2 * len(unknown)))


def false_positives(known: Tensor, unknown: Tensor) -> float:
    """Return which share of unknown images passes where `RECALL` of the known ones do."""
    allowed = int((1 - RECALL) * len(known))
    return float((unknown >= known.sort().values[allowed]).double().mean())


@click.command()
@click.option("--seeds", default=1, help="So many of the suite's seeds.")
@click.option("--choose", is_flag=True, help="Try numbers on training images first.")
@click.option(
    "--part", "parts", multiple=True, type=click.Choice(PARTS), default=PARTS, help="Only these."
)
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the image sets.")
@click.option("--threads", default=1, help="Threads of the products.")
def main(
    seeds: int, parts: Sequence[str], root: Path | None, threads: int, *, choose: bool
) -> None:
    """Measure, print and judge."""
    torch.set_num_threads(threads)
    suite = read_suite(TEN_SETS, root=root)
    need_images(suite, remedy="name their folder with --root")
    xtail = Xtail(suite, results=Path("benchmarks/out"), cache=home() / "features")
    (order,) = suite.orders
    collections = [xtail.measured_sets(order, seed) for seed in suite.seeds[:seeds]]
    if choose:
        _chosen(collections)
    measured = {"left-out": _left_out, "others": _by_others, "near": _near}
    rows = [row for part in parts if part in measured for row in measured[part](collections)]
    further = _further(suite, root) if "further" in parts else []
    if further:
        _print_further(collections[0], further)
    sys.exit(report("unknown", rows))


def _chosen(collections: Sequence[Sequence[MeasuredSet]]) -> None:
    """Print how each pair of numbers does on training images, and which would have been taken."""
    tried = [(spread, direction) for spread in SPREADS for direction in DIRECTIONS]
    names = [one.task.task for one in collections[0]]
    areas = {pair: [0.0] * len(names) for pair in tried}
    bases = [0.0] * len(names)
    for sets in collections:
        for place, out in enumerate(sets):
            found, base = _on_training_images([one for one in sets if one is not out], out, tried)
            bases[place] += base / len(collections)
            for pair, area in found.items():
                areas[pair][place] += area / len(collections)
            click.echo(f"chosen without {out.task.task}", err=True)

    def worth(pair: tuple[float, float], left_out: int | None = None) -> tuple[int, float]:
        pairs = [
            (area, base)
            for place, (area, base) in enumerate(zip(areas[pair], bases, strict=True))
            if place != left_out
        ]
        return sum(area > base for area, base in pairs), fmean(area for area, _ in pairs)

    lines = [["better baseline", "", *(f"{100 * base:.1f}" for base in bases), ""]]
    for pair in sorted(tried, key=worth, reverse=True):
        better, mean = worth(pair)
        values = (f"{100 * area:.1f}" for area in areas[pair])
        lines.append([f"{pair[0]} {pair[1]}", str(better), *values, f"{100 * mean:.1f}"])
    grid(
        "unknown: training images alone (AUROC, %)",
        ["SPREAD DIRECTION", "better", *names, "mean"],
        lines,
    )
    taken = [max(tried, key=partial(worth, left_out=place)) for place in range(len(names))]
    grid(
        "unknown: chosen without each set, and how that does on it (AUROC, %)",
        ["set", "SPREAD DIRECTION", "familiarity", "better baseline"],
        [
            [name, f"{pair[0]} {pair[1]}", f"{100 * areas[pair][at]:.1f}", f"{100 * bases[at]:.1f}"]
            for at, (name, pair) in enumerate(zip(names, taken, strict=True))
        ],
    )


def _on_training_images(
    kept: Sequence[MeasuredSet], out: MeasuredSet, tried: Sequence[tuple[float, float]]
) -> tuple[dict[tuple[float, float], float], float]:
    """Return the AUROC of each pair of numbers, and of the better baseline."""
    state, known = AdapterState(), []
    for one in kept:
        parts = validation_parts(one.task, seed=0)
        state = _learnt(TrainingInputs(task=parts.kept, past=state, text=one.text))
        known.append(parts.features)
    images = (torch.cat(known), out.task.features[:, 0])
    adapter = Adapter(state.records)
    scores = [
        adapter.score(each, encoder=adapter.encoder, logit_scale=out.text.logit_scale)
        for each in images
    ]
    sizes = torch.tensor([len(record.classes) for record in state.records])
    owners = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
    answered = [owners[each.winners] for each in scores]
    means = normalize(torch.cat([record.tensors["means"] for record in state.records]), dim=-1)
    base = max(
        auroc(*(each.values.log_softmax(dim=1).amax(dim=1) for each in scores)),
        auroc(*((each @ means.t()).amax(dim=1) for each in images)),
    )
    found = {}
    for spread in dict.fromkeys(spread for spread, _ in tried):
        metrics = [_metric(record, spread) for record in state.records]
        for direction in (other for each, other in tried if each == spread):
            values = [torch.zeros(len(each)).double() for each in images]
            for place, metric in enumerate(metrics):
                for rows, tasks, value in zip(images, answered, values, strict=True):
                    own = tasks == place
                    value[own] = metric.familiarity(rows[own], direction=direction)
            found[spread, direction] = auroc(*values)
    return found, base


def _metric(record: Record, allowed: float) -> TaskMetric:
    return TaskMetric.of(method_named(record.method).spread(record), allowed=allowed)


def _further(suite: Suite, root: Path | None) -> list[MeasuredSet]:
    """Return the further sets that are there, as the encoder reads them."""
    folder = root or Path(suite.root)
    names = tuple(name for name in FURTHER if (folder / name).is_dir())
    if not names:
        return []
    sets = tuple(SetConfig(name=name) for name in names)
    others = replace(suite, name="further", sets=sets, orders={"I": names})
    xtail = Xtail(others, results=Path("benchmarks/out"), cache=home() / "features")
    return list(xtail.measured_sets("I", suite.seeds[0]))


def _print_further(sets: Sequence[MeasuredSet], further: Sequence[MeasuredSet]) -> None:
    version = Version(sets, {})
    known = [version.scored(one.test_features) for one in sets]
    lines = []
    for one in further:
        figures, shares = _figures(version, known, version.scored(one.test_features))
        lines.append(
            [
                one.task.task,
                *(f"{100 * figures[name][0]:.1f}" for name in (*BASELINES, COMBINED, JUDGED)),
                f"{100 * shares[-1]:.1f}",
            ]
        )
    grid(
        "unknown: sets on which nothing was chosen, all ten learnt (AUROC, %)",
        ["set", *BASELINES, COMBINED, JUDGED, "of unknown"],
        lines,
    )


def _left_out(collections: Sequence[Sequence[MeasuredSet]]) -> list[Row]:
    found: dict[str, list[dict[str, tuple[float, float]]]] = {}
    refused: dict[str, list[tuple[float, float, float]]] = {}
    for sets in collections:
        mixtures = {one.task.task: _mixtures(one.task) for one in sets}
        for out in sets:
            kept = [one for one in sets if one is not out]
            version = Version(kept, mixtures)
            known = [version.scored(one.test_features) for one in kept]
            figures, shares = _figures(version, known, version.scored(out.test_features))
            found.setdefault(out.task.task, []).append(figures)
            refused.setdefault(out.task.task, []).append(shares)
            click.echo(f"{out.task.task}: {figures}", err=True)
    return _table("left out in turn", found, refused, bar=MOST_BAR)


def _by_others(collections: Sequence[Sequence[MeasuredSet]]) -> list[Row]:
    rows = []
    for name in OTHERS:
        found: dict[str, list[dict[str, tuple[float, float]]]] = {}
        refused: dict[str, list[tuple[float, float, float]]] = {}
        for sets in collections:
            records = _learnt_by(name, sets)
            for place, out in enumerate(sets):
                kept = Adapter([*records[:place], *records[place + 1 :]])
                means = [class_means(one.task) for one in sets if one is not out]
                known = [_plainly(kept, one, means) for one in sets if one is not out]
                figures, shares = _compared(known, _plainly(kept, out, means))
                found.setdefault(out.task.task, []).append(figures)
                refused.setdefault(out.task.task, []).append(shares)
                click.echo(f"{name}, {out.task.task}: {figures}", err=True)
        rows += _table(f"{name}, left out in turn", found, refused, bar=None)
    return rows


def _learnt_by(name: str, sets: Sequence[MeasuredSet]) -> tuple[Record, ...]:
    """Return the records of all sets, learnt in their order, with their thresholds."""
    method, state = method_named(name), AdapterState()
    for one in sets:
        settings = method.check_settings(OTHERS[name])
        inputs = TrainingInputs(task=one.task, past=state, text=one.text, settings=settings)
        state = learn(method, inputs)
        record = with_thresholds(method, state.records[-1], one.task)
        state = replace(state, records=(*state.records[:-1], record))
    return state.records


def _plainly(
    adapter: Adapter, one: MeasuredSet, means: Sequence[Tensor]
) -> tuple[Mapping[str, Tensor], Tensor]:
    """Return the baselines and familiarity of a set's test images, and which are unknown."""
    images = one.test_features
    scores = adapter.score(images, encoder=adapter.encoder, logit_scale=one.text.logit_scale)
    told = adapter.verdicts(images, scores, rate=RATE)
    softmax, nearest = BASELINES
    return {
        softmax: scores.values.log_softmax(dim=1).amax(dim=1),
        nearest: (images @ normalize(torch.cat(list(means)), dim=-1).t()).amax(dim=1),
        JUDGED: torch.tensor([each.familiarity for each in told]),
    }, torch.tensor([bool(each.unknown) for each in told])


def _near(collections: Sequence[Sequence[MeasuredSet]]) -> list[Row]:
    found: dict[str, list[dict[str, tuple[float, float]]]] = {}
    refused: dict[str, list[tuple[float, float, float]]] = {}
    for sets in collections:
        cut = [_without_a_tenth(one) for one in sets]
        mixtures = {kept.task.task: _mixtures(kept.task) for kept, _ in cut}
        version = Version([kept for kept, _ in cut], mixtures)
        for kept, unknown in cut:
            name = kept.task.task
            known = [version.scored(kept.test_features)]
            figures, shares = _figures(version, known, version.scored(unknown))
            found.setdefault(name, []).append(figures)
            refused.setdefault(name, []).append(shares)
    return _table("a tenth of its own classes", found, refused, bar=None)


def _without_a_tenth(one: MeasuredSet) -> tuple[MeasuredSet, Tensor]:
    """Return a set without the last tenth of its classes, and the test images of these."""
    task = one.task
    kept = len(task.classes) - max(1, len(task.classes) // 10)
    of_training, of_test = task.labels < kept, one.test_labels < kept
    part = TaskFeatures(
        task=task.task,
        classes=task.classes[:kept],
        features=task.features[of_training],
        labels=task.labels[of_training],
        encoder=task.encoder,
    )
    smaller = replace(
        one,
        task=part,
        text=replace(one.text, features=one.text.features[:kept], tokens=None),
        test_features=one.test_features[of_test],
        test_labels=one.test_labels[of_test],
    )
    return smaller, one.test_features[~of_test]


def _mixtures(task: TaskFeatures) -> list[Mixture]:
    return class_mixtures(task, components=COMPONENTS, seed=0)


def _figures(
    version: Version, known: Sequence[Scored], unknown: Scored
) -> tuple[dict[str, tuple[float, float]], tuple[float, float, float]]:
    """Return AUROC and false positives by score, and the shares that are refused."""

    def told(found: Scored) -> tuple[Mapping[str, Tensor], Tensor]:
        return {name: score(found) for name, score in scores_of(version).items()}, found.unknown

    return _compared([told(each) for each in known], told(unknown))


def _compared(
    known: Sequence[tuple[Mapping[str, Tensor], Tensor]],
    unknown: tuple[Mapping[str, Tensor], Tensor],
) -> tuple[dict[str, tuple[float, float]], tuple[float, float, float]]:
    """Return AUROC and false positives by score, and the shares that are refused.

    Args:
        known: Of each learnt set, the scores of its images and which of them are unknown.
        unknown: The same of the images of none.
    """
    of_unknown, refused = unknown
    figures = {}
    for name, values in of_unknown.items():
        of_known = torch.cat([scores[name] for scores, _ in known])
        figures[name] = (auroc(of_known, values), false_positives(of_known, values))
    alarms = [each.double() for _, each in known]
    most = max(float(each.mean()) for each in alarms)
    return figures, (float(torch.cat(alarms).mean()), most, float(refused.double().mean()))


def _table(
    title: str,
    found: Mapping[str, Sequence[Mapping[str, tuple[float, float]]]],
    refused: Mapping[str, Sequence[tuple[float, float, float]]],
    *,
    bar: int | None,
) -> list[Row]:
    """Print AUROC and false positives of every set; return figures and the bar."""
    means = {
        name: {
            score: tuple(100 * fmean(run[score][place] for run in runs) for place in (0, 1))
            for score in runs[0]
        }
        for name, runs in found.items()
    }
    scores = list(next(iter(means.values())))
    lines = [
        [
            name,
            *(f"{of[score][0]:.1f} / {of[score][1]:.0f}" for score in scores),
            *(f"{100 * fmean(of[place] for of in refused[name]):.1f}" for place in range(3)),
        ]
        for name, of in means.items()
    ]
    average = {
        score: tuple(fmean(of[score][place] for of in means.values()) for place in (0, 1))
        for score in scores
    }
    lines.append(
        [
            "mean",
            *(f"{average[score][0]:.1f} / {average[score][1]:.0f}" for score in scores),
            *(
                f"{100 * fmean(fmean(of[place] for of in each) for each in refused.values()):.1f}"
                for place in range(3)
            ),
        ]
    )
    grid(
        f"unknown: {title} (AUROC / false positives, %)",
        ["set", *scores, "unknown, of known", "most of a task", "of unknown"],
        lines,
    )
    rows = [
        Row(figure=f"{title}: AUROC of {score}", value=round(average[score][0], 2), unit="%")
        for score in scores
    ]
    if len(next(iter(found.values()))) > 1:
        _print_seeds(title, found)
    better = sum(
        of[JUDGED][0] > max(of[baseline][0] for baseline in BASELINES) for of in means.values()
    )
    return [
        *rows,
        Row(
            figure=f"{title}: sets on which {JUDGED} is above both baselines",
            value=better,
            bar=f">= {bar}" if bar else None,
            holds=better >= bar if bar else None,
        ),
    ]


def _print_seeds(
    title: str, found: Mapping[str, Sequence[Mapping[str, tuple[float, float]]]]
) -> None:
    """Print of each seed what familiarity is beside the baselines."""
    lines = []
    for seed, runs in enumerate(zip(*found.values(), strict=True)):
        means = [fmean(run[score][0] for run in runs) for score in (*BASELINES, JUDGED)]
        passing = fmean(run[JUDGED][1] for run in runs)
        better = sum(
            run[JUDGED][0] > max(run[baseline][0] for baseline in BASELINES) for run in runs
        )
        figures = (f"{100 * mean:.1f}" for mean in means)
        lines.append([str(seed), *figures, f"{100 * passing:.1f}", str(better)])
    grid(
        f"unknown: {title}, seed by seed (AUROC, %)",
        ["seed", *BASELINES, JUDGED, "passing", "sets above both"],
        lines,
    )


if __name__ == "__main__":
    main()
