"""The report of a suite: one HTML page that needs nothing else, and CSV and PNG beside it.

report.html      everything
methods.csv      the table
accuracies.csv   every accuracy of every run
curves.png, matrix-ORDER-METHOD.png   where matplotlib is installed
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from adapters.uncertainty import CONFIDENCE, wilson_interval
from harness.files import write_whole
from harness.labelled import ImageSet
from harness.pages.drawing import (
    COLORS,
    Facts,
    draw_heat_map,
    line,
    page,
    picture,
    pyplot,
    shaded,
    shown_mistakes,
)
from harness.published import PUBLISHED
from harness.results import (
    RunName,
    candidates_at_the_end,
    file_name,
    orders_and_runs,
    run_names,
)
from harness.sequence_run import SequenceRun
from harness.suite import Suite, settings_for
from harness.table import COLUMNS, Figure, as_csv, by_set, figures
from harness.xtail import ZeroShotFigures


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """Everything that a report shows.

    Attributes:
        suite: What was measured.
        runs: The finished runs.
        zero_shot: What the encoder alone gives, by order.
        images: The image sets, for pictures.
        facts: What else is said.
        digests: Of each set's lists of images, by its name.
    """

    suite: Suite
    runs: Mapping[RunName, SequenceRun]
    zero_shot: Mapping[str, ZeroShotFigures]
    images: Mapping[str, ImageSet]
    facts: Facts
    digests: Mapping[str, str]


def write_report(findings: Findings, folder: Path) -> Path:
    """Write the report into `folder` and return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    by_order = orders_and_runs(findings.suite, findings.runs)
    write_whole(folder / "methods.csv", _methods_csv(by_order))
    write_whole(folder / "accuracies.csv", _accuracies_csv(findings))
    path = folder / "report.html"
    written = page(
        "suite_page.html.j2",
        suite=findings.suite,
        facts=findings.facts,
        digests=findings.digests,
        orders=[_order(findings, order, lines) for order, lines in by_order.items()],
        headings=list(COLUMNS),
        settings=_settings(findings.suite),
        unfinished=sum(name not in findings.runs for name in run_names(findings.suite)),
    )
    write_whole(path, written)
    for order, lines in by_order.items():
        _draw(order, findings.suite.orders[order], lines, folder)
    return path


def _order(
    findings: Findings, order: str, lines: Mapping[str, Sequence[SequenceRun]]
) -> dict[str, Any]:
    tasks = findings.suite.orders[order]
    measured = {title: runs for title, runs in lines.items() if runs}
    published = PUBLISHED.get(findings.suite.published or "", {}).get(order, ())
    return {
        "name": order,
        "tasks": tasks,
        "zero_shot": findings.zero_shot[order],
        "rows": [
            {"title": title, "color": color, "figures": figures(runs), "runs": len(runs)}
            for (title, runs), color in zip(measured.items(), COLORS * 9, strict=False)
        ],
        "best_last": max(
            (figures(runs)["Last"] for runs in measured.values()), default=None, key=_mean
        ),
        "published": published,
        "curves": [
            line(title, place, _means(runs)) for place, (title, runs) in enumerate(measured.items())
        ],
        "candidates": candidates_at_the_end(lines),
        "details": [
            {
                "title": title,
                "matrix": _matrix(tasks, runs),
                "confusion": {
                    task: [shaded(value) for value in row]
                    for task, row in zip(tasks, _confusion(runs), strict=True)
                },
                "mistakes": [
                    shown_mistakes(each, partial(_file, findings.images[each.set_name]))
                    for each in runs[0].finish.mistakes
                ],
                "pictures": [
                    picture(answer, _file(findings.images[answer.set_name], answer.image))
                    for answer in runs[0].finish.answered
                ],
            }
            for title, runs in measured.items()
        ],
    }


def _mean(figure: Figure | None) -> float:
    return figure.mean if figure else 0.0


def _means(runs: Sequence[SequenceRun]) -> list[float]:
    """Return the mean over the sets that were measured after each task."""
    return [fmean(figure.mean for figure in by_set(runs, row)) for row in range(len(runs[0].steps))]


def _matrix(tasks: Sequence[str], runs: Sequence[SequenceRun]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a heat map by what has been learnt."""
    return {
        f"after {task}": [
            shaded(figure.mean, said=_sureness(runs, figure, column), learnt=column <= row)
            for column, figure in enumerate(by_set(runs, row))
        ]
        for row, task in enumerate(tasks)
    }


def _sureness(runs: Sequence[SequenceRun], figure: Figure, column: int) -> str:
    """Return how sure an accuracy is: over seeds, or of one run over its test images."""
    if figure.half is not None:
        return f"± {figure.half:.2f}"
    low, high = _interval(figure.mean, runs[0].images[column])
    return f"{low:.1f} to {high:.1f} with {CONFIDENCE:.0%} confidence"


def _confusion(runs: Sequence[SequenceRun]) -> list[list[float]]:
    matrices = [run.finish.confusion for run in runs]
    return [
        [sum(cells) / len(cells) for cells in zip(*rows, strict=True)]
        for rows in zip(*matrices, strict=True)
    ]


def _file(images: ImageSet, place: int) -> bytes:
    return images.test[place].read()


def _settings(suite: Suite) -> list[tuple[str, str, str]]:
    return [
        (
            line.title,
            line.method,
            "; ".join(
                f"{one.name}: {dict(settings_for(line, one))}"
                for one in suite.sets
                if settings_for(line, one) != line.settings
            )
            or str(dict(line.settings) or "as they come"),
        )
        for line in suite.methods
    ]


def _methods_csv(by_order: Mapping[str, Mapping[str, Sequence[SequenceRun]]]) -> str:
    headings = ["order", "method", "runs"]
    headings += [name for column in COLUMNS for name in (column, f"{column} +-")]
    lines = []
    for order, of_order in by_order.items():
        for title, runs in of_order.items():
            if not runs:
                continue
            line: list[object] = [order, title, len(runs)]
            for figure in figures(runs).values():
                line += ["", ""] if figure is None else [figure.mean, figure.half]
            lines.append(line)
    return as_csv(headings, lines)


def _accuracies_csv(findings: Findings) -> str:
    lines = []
    for name, run in findings.runs.items():
        tasks = findings.suite.orders[name.order]
        for after, step in zip(tasks, run.steps, strict=True):
            measured = zip(tasks, step.accuracies, step.alike, run.images, strict=False)
            lines += [
                [
                    name.order,
                    name.title,
                    name.seed,
                    after,
                    on,
                    same,
                    alike,
                    *_interval(same, images),
                ]
                for on, same, alike, images in measured
            ]
    headings = ["order", "method", "seed", "after", "on", "accuracy", "among equal names"]
    return as_csv([*headings, "low", "high"], lines)


def _interval(percent: float, images: int) -> tuple[float, float]:
    low, high = wilson_interval(round(percent / 100 * images), images)
    return 100 * low, 100 * high


def _draw(
    order: str, tasks: Sequence[str], lines: Mapping[str, Sequence[SequenceRun]], folder: Path
) -> None:
    """Draw the matrices and the curves, where matplotlib is installed."""
    plot = pyplot()
    if plot is None:
        return
    curves, axes = plot.subplots(figsize=(8, 4))
    for title, runs in lines.items():
        if not runs:
            continue
        axes.plot(range(1, len(tasks) + 1), _means(runs), label=title)
        draw_heat_map(
            folder / f"matrix-{file_name(order, title)}.png",
            _matrix(tasks, runs),
            tasks,
            title=f"{title}, order {order}: accuracy (%); bold: learnt",
        )
    axes.set_xlabel("tasks learnt")
    axes.set_ylabel("mean accuracy (%)")
    axes.legend(fontsize="small", ncols=2)
    curves.savefig(folder / f"curves-{file_name(order)}.png", dpi=110, bbox_inches="tight")
    plot.close(curves)
