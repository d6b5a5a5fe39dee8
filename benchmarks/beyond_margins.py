"""What it would cost if a new task had to win by a margin: `python -m benchmarks.beyond_margins`.

Classifiers in their own metrics learn the ten sets of deploy/suites/ten-sets.yaml one after the
other. Of each image, going through the tasks in their order, a task takes the answer of those
before it only if it scores higher by the margin. Printed for each margin: accuracy after the last
task, and the most that a task lost at any step, with all classes as candidates from the beginning
(the protocol of the papers) and with the learnt ones (what `predict` answers), for each seed.

By default on training images alone: those of each class are cut into four parts, each is left out
in turn, and the images of all four are counted together. With `--tests` on the test images, where
nothing is chosen. Takes some minutes. Writes benchmarks/out/beyond-margins.json.
"""

import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import click
import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.contract.adapter_state import AdapterState
from adapters.contract.learning import learn
from adapters.contract.method import Query
from adapters.contract.records import Record
from adapters.contract.training_inputs import TrainingInputs
from adapters.methods.own_metric.dense import DenseScorer
from adapters.methods.own_metric.method import OwnMetric
from benchmarks.absent import need_images
from benchmarks.beyond_trials import TEN_SETS, part_of
from benchmarks.table import Row, grid, judged
from cluster.config import home
from harness.measured_set import MeasuredSet
from harness.suite import read_suite
from harness.xtail import Xtail

MARGINS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
PARTS = 4
PROTOCOLS = ("all", "learnt")


class _Answers(NamedTuple):
    """What one version says of the test images of one task.

    Attributes:
        scores: (N, S), of the classes learnt.
        unseen: (N,), whether a class that is not learnt has the highest text logit.
        truth: (N,), columns.
    """

    scores: Tensor
    unseen: Tensor
    truth: Tensor


@click.command()
@click.option("--root", type=click.Path(path_type=Path), help="Folder of the image sets.")
@click.option("--seeds", default=3, help="Of the suite.")
@click.option("--tests", is_flag=True, help="On the test images, where nothing is chosen.")
def main(root: Path | None, seeds: int, *, tests: bool) -> None:
    """Measure all margins, and print what each costs."""
    torch.set_num_threads(1)
    suite = read_suite(TEN_SETS, root=root)
    need_images(suite, remedy="name their folder with --root")
    xtail = Xtail(suite, results=Path("benchmarks/out"), cache=home() / "features")
    (order,) = suite.orders
    lines, rows = [], list[Row]()
    for seed in suite.seeds[:seeds]:
        sets = xtail.measured_sets(order, seed)
        cut = [sets] if tests else [_part(sets, part) for part in range(PARTS)]
        found = _pooled([answers for each in cut for answers in _versions(each)], sets)
        for margin in MARGINS:
            figures = [found[margin, protocol] for protocol in PROTOCOLS]
            name = f"seed {seed}, margin {margin:g}"
            click.echo(f"{name}: {figures}", err=True)
            last = f"{figures[0][0]:.2f}"
            lines.append([name, last, *(f"{worst:.2f}" for _, worst in figures)])
            rows.append(Row(figure=f"{name}: Last", value=round(figures[0][0], 2), unit="%"))
            rows += [
                Row(figure=f"{name}: worst drop, {which}", value=round(worst, 2), unit="points")
                for which, (_, worst) in zip(PROTOCOLS, figures, strict=True)
            ]
    headings = ["", "Last", *(f"worst drop, {protocol}" for protocol in PROTOCOLS)]
    grid("beyond-margins" + (", test images" if tests else ""), headings, lines)
    sys.exit(judged("beyond-margins", rows))


def _part(sets: Sequence[MeasuredSet], part: int) -> list[MeasuredSet]:
    return [part_of(one, part, parts=PARTS) for one in sets]


def _versions(sets: Sequence[MeasuredSet]) -> Iterator[tuple[int, int, _Answers]]:
    """Yield what each version says of each task that it has learnt: version, task, answers."""
    sizes = [len(one.task.classes) for one in sets]
    starts = [sum(sizes[:place]) for place in range(len(sizes) + 1)]
    anchors = normalize(torch.cat([one.text.features for one in sets]), dim=-1)
    state, scorer = AdapterState(), None
    for version, learnt in enumerate(sets):
        inputs = TrainingInputs(task=learnt.task, past=state, text=learnt.text, seed=0)
        state = learn(OwnMetric(), inputs)
        scorer = _grown(scorer, state.records)
        for task, one in enumerate(sets[: version + 1]):
            text = one.text.logit_scale * one.test_features @ anchors.t()
            query = Query(
                paths=one.test_features[:, None],
                text_logits=text[:, : starts[version + 1]],
                positions=range(version + 1),
                logit_scale=one.text.logit_scale,
            )
            unseen = text.argmax(dim=1) >= starts[version + 1]
            yield (
                version,
                task,
                _Answers(scorer.scores(query), unseen, one.test_labels + starts[task]),
            )


def _grown(scorer: DenseScorer | None, records: tuple[Record, ...]) -> DenseScorer:
    return DenseScorer(records) if scorer is None else scorer.extended(records[-1])


def _pooled(
    answers: Sequence[tuple[int, int, _Answers]], sets: Sequence[MeasuredSet]
) -> dict[tuple[float, str], tuple[float, float]]:
    """Return accuracy after the last task and worst drop in percent, by margin and protocol."""
    sizes, count, found = [len(one.task.classes) for one in sets], len(sets), {}
    for margin in MARGINS:
        counts: dict[tuple[str, int, int], list[int]] = defaultdict(lambda: [0, 0])
        for version, task, said in answers:
            right = _taken(said.scores, sizes[: version + 1], margin) == said.truth
            for protocol in PROTOCOLS:
                kept = right & ~said.unseen if protocol == "all" else right
                of_task = counts[protocol, version, task]
                of_task[0] += int(kept.sum())
                of_task[1] += len(kept)
        for protocol in PROTOCOLS:
            share = {
                (version, task): 100 * counts[protocol, version, task][0] / of_all
                for version in range(count)
                for task in range(version + 1)
                if (of_all := counts[protocol, version, task][1])
            }
            last = fmean(share[count - 1, task] for task in range(count))
            drops = [
                share[version - 1, task] - share[version, task]
                for version in range(1, count)
                for task in range(version)
            ]
            found[margin, protocol] = last, max(drops)
    return found


def _taken(scores: Tensor, sizes: Sequence[int], margin: float) -> Tensor:
    """Return the columns of the answers, (N,)."""
    best, answer, start = None, scores.new_zeros(len(scores), dtype=torch.int64), 0
    for part in torch.split(scores, list(sizes), dim=1):
        top, place = part.max(dim=1)
        wins = torch.ones_like(top, dtype=torch.bool) if best is None else top > best + margin
        best = top if best is None else torch.where(wins, top, best)
        answer = torch.where(wins, place + start, answer)
        start += part.shape[1]
    return answer


if __name__ == "__main__":
    main()
