"""The verb that measures published versions: evaluate."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapters.metrics import ContinualMetrics
from cluster.cli.output import output_option, print_json, progress_bar, stdout
from cluster.client import Client
from cluster.joined import configured

if TYPE_CHECKING:
    from cluster.evaluating import Evaluation

SCALARS = ("transfer", "average", "last", "backward_transfer", "forgetting")


@click.command()
@click.option("--adapter", help="Which adapter.  [default: the configured one]")
@click.option("--versions", default="", help="1..5, or numbers and aliases.  [default: all]")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    help="Measure on this task or submission, too, learnt or not; may be given several times.",
)
@click.option("--threads", type=click.IntRange(min=1), default=2, help="Versions at once.")
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Folder for matrix.png and accuracies.csv.",
)
@output_option
@click.pass_obj
def evaluate(
    path: Path | None,
    adapter: str | None,
    versions: str,
    tasks: tuple[str, ...],
    threads: int,
    report: Path | None,
    output: str,
) -> None:
    """Measure versions on the held-out images of their tasks: the accuracy matrix.

    The candidates are the classes of all tasks that are measured; what a version has not learnt
    takes part zero-shot. The held-out images were embedded when their tasks were learnt; none is
    embedded again.

    \b
    Examples:
      nacre evaluate
      nacre evaluate --versions 1..5 --report matrix
      nacre evaluate --versions 3,production --task birds --output json
    """
    from cluster.evaluating import evaluate as evaluated

    with progress_bar("measuring versions") as bar:
        found = evaluated(
            Client(configured(path)),
            adapter=adapter,
            versions=versions,
            tasks=tasks,
            threads=threads,
            progress=bar,
        )
    if report is not None:
        _write(found, report)
    if output == "json":
        print_json(_as_json(found))
        return
    _print(found)
    if report is not None:
        stdout().print(f"report: {report}", markup=False)


def _print(found: "Evaluation") -> None:
    from cluster.cli.matrix import MatrixTable

    zero_shot = tuple(share.accuracy for share in found.zero_shot)
    table = MatrixTable(tasks=found.tasks, zero_shot=zero_shot)
    lines = [table.header(), table.line("zero-shot", zero_shot)]
    for (number, _), row in zip(found.versions, found.rows, strict=True):
        label = f"{found.adapter}@{number}"
        lines.append(table.line(label, tuple(share.accuracy for share in row)))
    for line in lines:
        stdout().print(line, markup=False)
    for label, metrics in (("", found.metrics), (", names", found.metrics_alike)):
        if metrics is not None:
            stdout().print(_scalars(metrics, label), markup=False)
    if found.metrics is None:
        stdout().print(
            "transfer, average and last are given where each version adds the next of the tasks",
            markup=False,
        )
    for name, ids in found.collisions.items():
        stdout().print(f"one name, several classes: {name}: {', '.join(ids)}", markup=False)


def _scalars(metrics: ContinualMetrics, label: str) -> str:
    values = {name: getattr(metrics, name) for name in SCALARS}
    return ", ".join(
        f"{name.replace('_', ' ')}{label} {100 * value:.1f}"
        for name, value in values.items()
        if value is not None
    )


def _as_json(found: "Evaluation") -> dict[str, object]:
    return {
        "adapter": found.adapter,
        "encoder": found.fingerprint,
        "tasks": found.tasks,
        "images": found.images,
        "zero_shot": [share._asdict() for share in found.zero_shot],
        "versions": [
            {"number": number, "digest": digest, "accuracies": [share._asdict() for share in row]}
            for (number, digest), row in zip(found.versions, found.rows, strict=True)
        ],
        "metrics": asdict(found.metrics) if found.metrics else None,
        "metrics_alike": asdict(found.metrics_alike) if found.metrics_alike else None,
        "collisions": dict(found.collisions),
    }


def _write(found: "Evaluation", folder: Path) -> None:
    from cluster.cli.matrix import MatrixTable, draw_matrix
    from harness.table import as_csv

    folder.mkdir(parents=True, exist_ok=True)
    rows = [(("zero-shot", ""), found.zero_shot), *zip(found.versions, found.rows, strict=True)]
    lines = [
        [*version, task, *share]
        for version, row in rows
        for task, share in zip(found.tasks, row, strict=True)
    ]
    headings = ["version", "digest", "task", "accuracy", "among equal names", "images"]
    (folder / "accuracies.csv").write_text(as_csv(headings, lines))
    table = MatrixTable(
        tasks=found.tasks,
        zero_shot=tuple(share.accuracy for share in found.zero_shot),
        rows=tuple(tuple(share.accuracy for share in row) for row in found.rows),
        labels=tuple(f"{found.adapter}@{number}" for number, _ in found.versions),
    )
    draw_matrix(table, folder / "matrix.png")


VERBS = (evaluate,)
