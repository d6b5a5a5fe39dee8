"""The report of a suite: one HTML page that needs nothing else, and CSV and PNG beside it.

report.html      everything
methods.csv      the table
accuracies.csv   every accuracy of every run
curves.png, matrix-ORDER-METHOD.png   where matplotlib is installed
"""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from harness.image_sets import ImageSet
from harness.published import PUBLISHED
from harness.results import RunName, file_name, orders_and_runs, run_names
from harness.sequence import Answered, SequenceRun
from harness.suite import Suite, settings_for
from harness.table import COLUMNS, Figure, as_csv, by_set, figures
from harness.xtail import ZeroShot
from workers.images import decode_image

THUMBNAIL = 96
WIDTH, HEIGHT = 720, 300
COLORS = (
    "#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#ff9da7",
    "#9c755f", "#bab0ac", "#1f77b4", "#17becf", "#8c564b",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What a report says besides the figures.

    Attributes:
        versions: Of the libraries, by name.
        fingerprint: Of the encoder.
        digests: Of each set's lists of images, by its name.
        collisions: For each name that several tasks share, their classes.
    """

    versions: Mapping[str, str]
    fingerprint: str
    digests: Mapping[str, str]
    collisions: Mapping[str, Sequence[str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """Everything that a report shows.

    Attributes:
        suite: What was measured.
        runs: The finished runs.
        zero_shot: What the encoder alone gives, by order.
        images: The image sets, for pictures.
        facts: What else is said.
    """

    suite: Suite
    runs: Mapping[RunName, SequenceRun]
    zero_shot: Mapping[str, ZeroShot]
    images: Mapping[str, ImageSet]
    facts: Facts


def write_report(findings: Findings, folder: Path) -> Path:
    """Write the report into `folder` and return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    by_order = orders_and_runs(findings.suite, findings.runs)
    _write(folder / "methods.csv", _methods_csv(by_order))
    _write(folder / "accuracies.csv", _accuracies_csv(findings))
    environment = Environment(
        loader=PackageLoader("harness", "."), autoescape=True, undefined=StrictUndefined
    )
    page = environment.get_template("page.html.j2").render(
        suite=findings.suite,
        facts=findings.facts,
        orders=[_order(findings, order, lines) for order, lines in by_order.items()],
        headings=list(COLUMNS),
        settings=_settings(findings.suite),
        unfinished=sum(name not in findings.runs for name in run_names(findings.suite)),
    )
    path = folder / "report.html"
    _write(path, page)
    _draw(findings, by_order, folder)
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
            {"title": title, "color": color, "points": _points(runs, len(tasks))}
            for (title, runs), color in zip(measured.items(), COLORS * 9, strict=False)
        ],
        "size": (WIDTH, HEIGHT),
        "details": [
            {
                "title": title,
                "matrix": [
                    [_cell(figure) for figure in by_set(runs, row)] for row in range(len(tasks))
                ],
                "confusion": [[_shade(value) for value in row] for row in _confusion(runs)],
                "pictures": list(_pictures(runs[0].finish.answered, findings.images)),
            }
            for title, runs in measured.items()
        ],
    }


def _mean(figure: Figure | None) -> float:
    return figure.mean if figure else 0.0


def _points(runs: Sequence[SequenceRun], tasks: int) -> list[tuple[float, float]]:
    """Return where a curve goes: the mean over all sets after each task."""
    step = (WIDTH - 60) / max(1, tasks - 1)
    means = []
    for row in range(tasks):
        accuracies = by_set(runs, row)
        means.append(sum(figure.mean for figure in accuracies) / len(accuracies))
    return [
        (40 + step * row, HEIGHT - 30 - (HEIGHT - 50) * mean / 100)
        for row, mean in enumerate(means)
    ]


def _cell(figure: Figure) -> dict[str, Any]:
    return {**_shade(figure.mean), "half": figure.half}


def _shade(value: float) -> dict[str, Any]:
    """Return a percentage and its colours: from white to deep blue, legible at both ends."""
    share = min(1.0, max(0.0, value / 100))
    red, green, blue = (round(255 + (end - 255) * share) for end in (8, 64, 129))
    return {
        "value": value,
        "back": f"rgb({red},{green},{blue})",
        "fore": "#fff" if share > 0.55 else "#222",
    }


def _confusion(runs: Sequence[SequenceRun]) -> list[list[float]]:
    matrices = [run.finish.confusion for run in runs]
    return [
        [sum(cells) / len(cells) for cells in zip(*rows, strict=True)]
        for rows in zip(*matrices, strict=True)
    ]


def _pictures(
    answered: Sequence[Answered], images: Mapping[str, ImageSet]
) -> Iterator[dict[str, Any]]:
    for answer in answered:
        image = images[answer.set_name].test[answer.image]
        picture = decode_image(image.read(), origin=image.name)
        picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
        written = io.BytesIO()
        picture.save(written, "JPEG", quality=80)
        yield {
            "answer": answer,
            "right": answer.expected == answer.predicted and answer.task == answer.set_name,
            "source": "data:image/jpeg;base64," + base64.b64encode(written.getvalue()).decode(),
        }


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
    lines = [
        [name.order, name.title, name.seed, after, on, same, alike]
        for name, run in findings.runs.items()
        for after, step in zip(findings.suite.orders[name.order], run.steps, strict=True)
        for on, same, alike in zip(
            findings.suite.orders[name.order], step.accuracies, step.alike, strict=True
        )
    ]
    headings = ["order", "method", "seed", "after", "on", "accuracy", "among equal names"]
    return as_csv(headings, lines)


def _draw(
    findings: Findings, by_order: Mapping[str, Mapping[str, Sequence[SequenceRun]]], folder: Path
) -> None:
    """Draw the matrices and the curves, where matplotlib is installed."""
    try:
        import matplotlib as mpl
    except ImportError:
        return
    mpl.use("Agg")
    from matplotlib import pyplot

    for order, lines in by_order.items():
        tasks = findings.suite.orders[order]
        curves, axes = pyplot.subplots(figsize=(8, 4))
        for title, runs in lines.items():
            if not runs:
                continue
            rows = [[figure.mean for figure in by_set(runs, row)] for row in range(len(tasks))]
            axes.plot(range(1, len(tasks) + 1), [sum(row) / len(row) for row in rows], label=title)
            figure, heat = pyplot.subplots(figsize=(0.8 * len(tasks) + 2, 0.5 * len(tasks) + 2))
            heat.imshow(rows, cmap="Blues", vmin=0, vmax=100, aspect="auto")
            heat.set_xticks(range(len(tasks)), tasks, rotation=30, ha="right")
            heat.set_yticks(range(len(tasks)), [f"after {task}" for task in tasks])
            for j, row in enumerate(rows):
                for k, value in enumerate(row):
                    color = "white" if value > 55 else "black"
                    heat.text(k, j, f"{value:.0f}", ha="center", va="center", color=color)
            heat.set_title(f"{title}, order {order}: accuracy (%)")
            figure.savefig(
                folder / f"matrix-{file_name(order, title)}.png", dpi=110, bbox_inches="tight"
            )
            pyplot.close(figure)
        axes.set_xlabel("tasks learnt")
        axes.set_ylabel("mean accuracy on all sets (%)")
        axes.legend(fontsize="small", ncols=2)
        curves.savefig(folder / f"curves-{file_name(order)}.png", dpi=110, bbox_inches="tight")
        pyplot.close(curves)


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
