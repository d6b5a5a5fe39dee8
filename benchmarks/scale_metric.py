"""What `own_metric` costs as tasks and classes grow: `python -m benchmarks.scale_metric`.

One image scored, and one more task put into a version and asked once, of LADA and of the forms of
`own_metric`, at several numbers of tasks and classes. Records are random, of 16 images a class and
of width 512; times are of the processor, on one thread, and ratios are what counts. Factorisations
are counted; those that short-list form makes when an image lists a task are in the time of the
image that is asked after one more task. Dense form is measured by its parts, since a version of
1,000 tasks in it takes longer to open than all the rest: two products per task on random matrices,
and one renewed factorisation. Takes about a minute and a gigabyte; writes
benchmarks/out/scale_metric.json.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from adapters.adapter import Adapter
from adapters.contract.class_entry import ClassEntry
from adapters.contract.records import Record
from adapters.methods.own_metric.common_metric import FIRST_TASKS, CommonMetric
from adapters.methods.own_metric.dense import DenseScorer, RecordClassifier, TaskMetric
from adapters.methods.own_metric.low_rank import LowRank
from adapters.methods.own_metric.settings import LISTED, Form
from adapters.methods.own_metric.task_rows import no_rows, row_tensors
from adapters.parts.statistics import Statistic
from adapters.parts.symmetric import packed
from benchmarks.random_records import VECTORS, WIDTH, random_record
from benchmarks.table import Row, report
from tests.support.scenes.factorisations import Factorisations

SIZES = ((10, 100), (100, 10), (100, 100), (1000, 10))
"""Tasks, and classes of each."""

ENCODER = "synthetic"
SCALE = 100.0
REPEATS = 3
BAR = 3.0
DISTINCT = 20
"""Tasks whose tensors are drawn; others have copies of these."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What was measured of one method at one size.

    Attributes:
        scoring_ms: One image.
        growing_ms: One more task, and one image scored then.
        factorisations: For that.
    """

    scoring_ms: float
    growing_ms: float
    factorisations: int


def main() -> int:
    """Measure, print and judge."""
    torch.set_num_threads(1)
    return report("scale_metric", figures())


def figures() -> list[Row]:
    """Return the lines of all sizes."""
    rows: list[Row] = []
    for tasks, classes in SIZES:
        rows += _lines(tasks, classes)
    return rows


def _lines(tasks: int, classes: int) -> list[Row]:
    title = f"{tasks:,} tasks of {classes}"
    lada = _lada(tasks, classes)
    forms: Mapping[str, Form] = {"low rank": "low_rank", "short list": "short_list"}
    costs = {"LADA": lada} | {name: _own(form, tasks, classes) for name, form in forms.items()}
    dense = _dense_scoring(tasks, classes)
    rows = [
        Row(figure=f"{title}, {name}: {what}", value=round(value, 2), unit=unit)
        for name, cost in costs.items()
        for what, value, unit in (
            ("one image scored", cost.scoring_ms, "ms"),
            ("one more task and an image", cost.growing_ms, "ms"),
            ("factorisations for it", cost.factorisations, ""),
        )
    ]
    rows.append(Row(figure=f"{title}, dense: one image scored", value=round(dense, 2), unit="ms"))
    one = _dense_factorisation()
    rows.append(
        Row(
            figure=f"{title}, dense: one more task, {tasks + 1} factorisations of {one:.1f} ms",
            value=round(one * (tasks + 1), 1),
            unit="ms",
        )
    )
    most = FIRST_TASKS + 1
    return [
        *rows,
        Row(figure=f"{title}: dense over LADA", value=round(dense / lada.scoring_ms, 2)),
        *(
            _over_lada(f"{title}: {name}", costs[name].scoring_ms / lada.scoring_ms)
            for name in forms
        ),
        *(
            Row(
                figure=f"{title}, {name}: factorisations for one more task",
                value=costs[name].factorisations,
                bar=f"<= {most}",
                holds=costs[name].factorisations <= most,
            )
            for name in forms
        ),
    ]


def _over_lada(figure: str, ratio: float) -> Row:
    return Row(
        figure=f"{figure} over LADA",
        value=round(ratio, 2),
        bar=f"<= {BAR:g}",
        holds=ratio <= BAR,
    )


def _lada(tasks: int, classes: int) -> Cost:
    records = (
        random_record(number, classes=classes, encoder=ENCODER)
        for number in range(min(tasks, DISTINCT))
    )
    drawn = [dict(record.tensors) for record in records]
    return _cost("lada", {"alpha": 1.0, "beta": 1.0}, drawn, tasks, classes)


def _own(form: Form, tasks: int, classes: int) -> Cost:
    settings = {"fusion": "alone", "form": form}
    first = [_own_tensors(classes, seed) for seed in range(min(tasks + 1, FIRST_TASKS))]
    drawn = [each | dict(no_rows(WIDTH)) for each in first]
    if tasks >= FIRST_TASKS:
        names = range(FIRST_TASKS)
        records = [_record("own_metric", settings, drawn[name], name, classes) for name in names]
        common = CommonMetric.of(records, shrinkage=0.5)
        drawn += [_later(classes, seed, common) for seed in range(FIRST_TASKS, DISTINCT)]
    if form == "short_list":
        drawn = [each | {"listed": torch.tensor([LISTED])} for each in drawn]
    return _cost("own_metric", settings, drawn, tasks, classes)


def _later(classes: int, seed: int, common: CommonMetric) -> dict[str, Tensor]:
    """Return the tensors of a task that is not among the first ones."""
    tensors = _own_tensors(classes, seed)
    record = _record("own_metric", {}, tensors, seed, classes)
    centre = tensors["means"].double().mean(dim=0)
    metric = LowRank.of(Statistic.of_record(record, "scatter"), common, centre=centre)
    means, anchors = tensors["means"], tensors["anchors"]
    return tensors | dict(row_tensors(metric, means=means, anchors=anchors))


def _cost(
    method: str,
    settings: dict[str, Any],
    drawn: Sequence[dict[str, Tensor]],
    tasks: int,
    classes: int,
) -> Cost:
    def record(number: int) -> Record:
        # Those that make the common metric come first, and only once.
        late = len(drawn) - FIRST_TASKS
        place = number if number < len(drawn) else FIRST_TASKS + number % max(late, 1)
        return _record(method, settings, drawn[min(place, len(drawn) - 1)], number, classes)

    adapter, one = Adapter([record(number) for number in range(tasks)]), _features()
    more = record(tasks)

    def score(asked: Adapter) -> object:
        return asked.score(one, encoder=ENCODER, logit_scale=SCALE)

    scoring_ms = _least_ms(lambda: score(adapter))
    growing_ms = _least_ms(lambda: score(adapter.extended(more)))
    with Factorisations() as counted:
        adapter.extended(more)
    return Cost(scoring_ms=scoring_ms, growing_ms=growing_ms, factorisations=counted.count)


def _dense_scoring(tasks: int, classes: int) -> float:
    """Return milliseconds to score one image in dense form, with matrices that are random."""

    def metric() -> TaskMetric:
        inverse = torch.randn(WIDTH, WIDTH, generator=_generator(1)) / WIDTH**0.5
        return TaskMetric(torch.zeros(WIDTH), inverse, _rows(classes, seed=2))

    one = _features()
    present = [metric() for _ in range(min(tasks, 100))]
    learnt = [RecordClassifier(metric(), _rows(classes, seed=3), text_weight=0.0) for _ in present]
    text = torch.zeros(1, classes)

    def score() -> object:
        return [
            classifier.log_probabilities(one, text, sharpness=0.05) - own.nearest(one)
            for classifier, own in zip(learnt, present, strict=True)
        ]

    # 200 MB of matrices are beyond any cache, and more of them cost as much each.
    return _least_ms(score) * tasks / len(present)


def _dense_factorisation() -> float:
    """Return milliseconds to renew what tells one task from others."""
    tensors = _own_tensors(10, 0)
    record = _record("own_metric", {"fusion": "alone"}, tensors, 0, 10)
    scorer = DenseScorer((record,))
    common = Statistic.of_record(record, "scatter")
    return _least_ms(lambda: TaskMetric.of(record, scorer.whitening(record, common)))


def _record(
    method: str, settings: dict[str, Any], tensors: dict[str, Tensor], number: int, classes: int
) -> Record:
    entries = tuple(
        ClassEntry(class_id=f"{number}/{index}", name=f"thing {index}", prompt=f"thing {index}")
        for index in range(classes)
    )
    # Texts that are all one would share columns.
    text = normalize(tensors["text_features"] + number * torch.linspace(0, 1e-3, WIDTH), dim=-1)
    return Record(
        task=str(number),
        classes=entries,
        method=method,
        settings=settings,
        seed=0,
        encoder=ENCODER,
        tensors=tensors | {"text_features": text},
    )


def _own_tensors(classes: int, seed: int) -> dict[str, Tensor]:
    means = _rows(classes, seed=seed)
    images = torch.randn(classes * VECTORS, WIDTH, generator=_generator(3000 + seed)) / 30
    images = images - images.view(classes, VECTORS, WIDTH).mean(1).repeat_interleave(VECTORS, 0)
    return {
        "text_features": _rows(classes, seed=1000 + seed),
        "means": means,
        "anchors": 0.1 * _rows(classes, seed=2000 + seed),
        "scatter": packed(images.t() @ images),
        "image_counts": torch.full((classes,), VECTORS),
        "costs": torch.zeros(6),
    }


def _rows(count: int, *, seed: int) -> Tensor:
    return normalize(torch.randn(count, WIDTH, generator=_generator(seed)), dim=-1)


def _features() -> Tensor:
    return _rows(1, seed=4000)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _least_ms(call: Callable[[], object]) -> float:
    call()
    found = []
    for _ in range(REPEATS):
        started = time.process_time()
        call()
        found.append(time.process_time() - started)
    return 1e3 * min(found)


if __name__ == "__main__":
    sys.exit(main())
