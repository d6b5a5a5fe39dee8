"""Accuracy of `own_metric` in each of its forms with many tasks: `make bench-metric_forms`.

    python -m benchmarks.metric_forms [--order I] [--every 1]

Five sets of cached CLIP features are cut into tasks of at most ten classes, 50 in all, and learnt
in three orders, without text. The candidates are all classes of the five sets; accuracy is over all
test images. Forms differ from the seventeenth task on alone: ten tasks, such as the ten sets of
deploy/suites/ten-sets.yaml, are the same bit for bit. Records in low-rank form are those in
short-list form without the length of the list. Takes some minutes.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import torch
from torch import Tensor

from adapters.adapter import Adapter
from adapters.contract.records import Record
from adapters.methods import method_named
from benchmarks.absent import need_features
from benchmarks.feature_sets import LOGIT_SCALE, default_folder, feature_set
from benchmarks.replay import ORDERS
from benchmarks.table import Row, report
from harness.measured_set import MeasuredSet
from tests.support.scenes.training import learn

CLASSES = 10
AT_ONCE = 512
MOST_LOST = 0.2


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=default_folder())
@click.option(
    "--order", "orders", multiple=True, default=tuple(ORDERS), type=click.Choice([*ORDERS])
)
@click.option("--every", default=1, help="Only every so many-th test image.")
def main(folder: Path, orders: Sequence[str], every: int) -> None:
    """Measure the accuracy after the last task, for each form and order."""
    torch.set_num_threads(1)
    need_features(folder, ORDERS["I"])
    rows: list[Row] = []
    for order in orders:
        tasks = [task for name in ORDERS[order] for task in cut(feature_set(name, folder=folder))]
        rows += _order_rows(f"order {order}, {len(tasks)} tasks", tasks, every=every)
    sys.exit(report("metric_forms", rows))


def cut(measured: MeasuredSet, *, classes: int = CLASSES) -> list[MeasuredSet]:
    """Return a set as several of at most so many classes each, of nearly the same number."""
    task, count = measured.task, len(measured.task.classes)
    parts = torch.tensor_split(torch.arange(count), -(-count // classes))
    return [
        _of_classes(measured, f"{task.task}-{number}", slice(int(part[0]), int(part[-1]) + 1))
        for number, part in enumerate(parts)
    ]


def _of_classes(measured: MeasuredSet, name: str, part: slice) -> MeasuredSet:
    task, first = measured.task, part.start
    learnt, tested = (
        (labels >= first) & (labels < part.stop) for labels in (task.labels, measured.test_labels)
    )
    return replace(
        measured,
        task=replace(
            task,
            task=name,
            classes=task.classes[part],
            features=task.features[learnt],
            labels=task.labels[learnt] - first,
        ),
        text=replace(measured.text, features=measured.text.features[part]),
        test_features=measured.test_features[tested],
        test_labels=measured.test_labels[tested] - first,
    )


def _order_rows(name: str, tasks: Sequence[MeasuredSet], *, every: int) -> list[Row]:
    features = torch.cat([task.test_features for task in tasks])[::every]
    sizes = torch.tensor([len(task.task.classes) for task in tasks])
    starts = (sizes.cumsum(dim=0) - sizes).tolist()
    labels = torch.cat(
        [task.test_labels + start for task, start in zip(tasks, starts, strict=True)]
    )[::every]
    dense, listed = (_learnt(tasks, form) for form in ("dense", "short_list"))
    forms = {"dense": dense, "low_rank": _without_list(listed), "short_list": listed}
    winners = {form: _winners(records, features) for form, records in forms.items()}
    right = {form: 100 * float((found == labels).float().mean()) for form, found in winners.items()}
    rows = [Row(figure=f"{name}, {form}: accuracy", value=right[form], unit="%") for form in forms]
    lost = right["dense"] - right["short_list"]
    changed = 100 * float((winners["dense"] != winners["short_list"]).float().mean())
    for row in rows:
        click.echo(f"{row.figure}: {row.value:.2f} %", err=True)
    return [
        *rows,
        Row(figure=f"{name}: answers that differ from dense form", value=changed, unit="%"),
        Row(
            figure=f"{name}: what the short list loses",
            value=round(lost, 3),
            unit="points",
            bar=f"at most {MOST_LOST}",
            holds=lost <= MOST_LOST,
        ),
    ]


def _learnt(tasks: Sequence[MeasuredSet], form: str) -> list[Record]:
    records: list[Record] = []
    settings = {"fusion": "alone", "form": form}
    for each in tasks:
        method = method_named("own_metric")
        records.append(learn(method, each.task, records, text=each.text, settings=settings, seed=0))
    return records


def _without_list(records: Sequence[Record]) -> list[Record]:
    return [
        replace(
            record,
            settings={**record.settings, "form": "low_rank"},
            tensors={name: each for name, each in record.tensors.items() if name != "listed"},
        )
        for record in records
    ]


def _winners(records: Sequence[Record], features: Tensor) -> Tensor:
    adapter = Adapter(records)
    found = [
        adapter.score(part, encoder=adapter.encoder, logit_scale=LOGIT_SCALE).winners
        for part in torch.split(features, AT_ONCE)
    ]
    return torch.cat(found)


if __name__ == "__main__":
    main()
