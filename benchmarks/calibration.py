"""Whether probabilities mean what they say: `make bench-calibration`.

    python -m benchmarks.calibration [--methods own_metric,gda] [--seeds 3] [--sequence]

Each method learns the ten sets of deploy/suites/ten-sets.yaml one after the other, with a
temperature for each task as the queue fits it (`adapters.calibration`); candidates are the learnt
classes. Printed are calibration error, Brier score and accuracy of the last version over the test
images of all sets, with the temperatures and without: the same records, the same answers. With
`--sequence` the four sets of cached CLIP features besides, for methods that need no text.

Test images choose nothing here. Prints tables and writes benchmarks/out/calibration.json.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import click
import torch

from adapters.adapter import Adapter
from adapters.calibration import learn_calibrated
from adapters.contract.adapter_state import AdapterState
from adapters.contract.training_inputs import TrainingInputs
from adapters.methods import method_named
from adapters.reliability import Reliability, reliability
from benchmarks.absent import need_features, need_images
from benchmarks.feature_sets import SEQUENCE, default_folder, feature_set
from benchmarks.table import Row, grid, report
from cluster.config import home
from harness.measured_set import MeasuredSet
from harness.suite import read_suite
from harness.xtail import Xtail
from workers.learning.evaluation import Predicted

TEN_SETS = Path("deploy/suites/ten-sets.yaml")
METHODS = ("own_metric", "nearest_mean", "dual_rail", "gda", "tip_adapter", "zero_shot")
WITHOUT_TEXT: Mapping[str, Mapping[str, Any]] = {
    "own_metric": {"fusion": "alone"},
    "nearest_mean": {},
}
"""Methods for cached features, whose text anchors would know the validation images."""
MOST = 3.0
"""Percent, of the method that the project recommends."""
JUDGED = "own_metric"


@click.command()
@click.option("--methods", default=",".join(METHODS), help="Names with commas between.")
@click.option("--seeds", default=1, help="So many of the suite's seeds.")
@click.option("--sequence", is_flag=True, help="The sequence of CLIP features besides.")
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the image sets.")
@click.option("--features", type=click.Path(path_type=Path), default=default_folder())
@click.option("--threads", default=1, help="Threads of the products.")
def main(
    methods: str, seeds: int, sequence: bool, root: Path | None, features: Path, threads: int
) -> None:
    """Measure, print and judge."""
    torch.set_num_threads(threads)
    suite = read_suite(TEN_SETS, root=root)
    need_images(suite, remedy="name their folder with --root")
    xtail = Xtail(suite, results=Path("benchmarks/out"), cache=home() / "features")
    (order,) = suite.orders
    rows = []
    collections = [xtail.measured_sets(order, seed) for seed in suite.seeds[:seeds]]
    names = methods.split(",")
    rows += _table("ten sets", {name: {} for name in names}, collections, most=MOST)
    if sequence:
        need_features(features, SEQUENCE)
        sets = [feature_set(name, folder=features) for name in SEQUENCE]
        chosen = {name: WITHOUT_TEXT[name] for name in names if name in WITHOUT_TEXT}
        rows += _table("the sequence", chosen, [sets], most=None)
    sys.exit(report("calibration", rows))


def _table(
    title: str,
    methods: Mapping[str, Mapping[str, Any]],
    collections: Sequence[Sequence[MeasuredSet]],
    *,
    most: float | None,
) -> list[Row]:
    """Print a line for each method, means over the collections; return figures and bars."""
    lines, rows = [], list[Row]()
    for name, settings in methods.items():
        found = [_measured(name, sets, settings) for sets in collections]
        before, after = ([each[place] for each in found] for place in (0, 1))
        errors = [fmean(100 * one.error for one in several) for several in (before, after)]
        briers = [fmean(one.brier for one in several) for several in (before, after)]
        right = fmean(_right(one) for one in after)
        lines.append(
            [
                name,
                *(f"{value:.1f}" for value in errors),
                *(f"{value:.3f}" for value in briers),
                f"{right:.2f}",
            ]
        )
        click.echo(f"{title}: {lines[-1]}", err=True)
        is_judged = most is not None and name == JUDGED
        rows.append(
            Row(
                figure=f"{title}: {name}",
                value=round(errors[1], 2),
                unit="%",
                bar=f"<= {most:g}" if is_judged else None,
                holds=errors[1] <= most if is_judged and most is not None else None,
            )
        )
        if name == JUDGED:
            bins = [
                [str(each.images), f"{100 * each.confidence:.1f}", f"{100 * each.accuracy:.1f}"]
                for each in after[0].bins
            ]
            grid(f"{title}: {name}, bins", ["images", "probability", "right"], bins)
    headings = ["method", "as it comes", "calibrated", "Brier", "calibrated", "right"]
    grid(f"calibration error (%): {title}", headings, lines)
    return rows


def _right(found: Reliability) -> float:
    return 100 * sum(each.images * each.accuracy for each in found.bins) / found.images


def _measured(
    name: str, sets: Sequence[MeasuredSet], settings: Mapping[str, Any]
) -> tuple[Reliability, Reliability]:
    """Return how far a method can be believed without temperatures, and with them."""
    method, state = method_named(name), AdapterState()
    for each in sets:
        inputs = TrainingInputs(
            task=each.task, past=state, text=each.text, images=each.images, settings=settings
        )
        state = learn_calibrated(method, inputs)
    plain = tuple(replace(record, temperature=None) for record in state.records)
    return _reliability(replace(state, records=plain), sets), _reliability(state, sets)


def _reliability(state: AdapterState, sets: Sequence[MeasuredSet]) -> Reliability:
    adapter = Adapter(state.records, shared=state.shared)
    truths = [one.truth for one in sets]
    answers = [
        Predicted.of(
            adapter.score(
                one.test_features,
                encoder=adapter.fingerprint,
                logit_scale=one.text.logit_scale,
            ),
            truth,
        )
        for one, truth in zip(sets, truths, strict=True)
    ]
    pairs = zip(answers, truths, strict=True)
    found = reliability(
        [sure for of in answers for sure in of.confidences],
        [
            answer.counts_as == true.counts_as
            for of, truth in pairs
            for answer, true in zip(of.classes, truth, strict=True)
        ],
        [loss for of in answers for loss in of.losses],
    )
    assert found is not None
    return found


if __name__ == "__main__":
    main()
