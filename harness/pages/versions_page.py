"""The report of an evaluation: one HTML page that needs nothing else, and CSV and PNG beside it.

report.html      everything
accuracies.csv   every cell of the matrix
matrix.png       where matplotlib is installed
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.answers import Answered
from harness.evaluation import SCALARS, Evaluation
from harness.files import write_whole
from harness.pages.drawing import (
    COLORS,
    Facts,
    draw_heat_map,
    library_versions,
    page,
    pictures,
    points,
    shaded,
)
from harness.process import peak_bytes
from harness.table import as_csv


def write_evaluation(found: Evaluation, folder: Path) -> Path:
    """Write the report into `folder`, made where it is missing, and return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "accuracies.csv", _accuracies_csv(found))
    matrix = matrix_of(found)
    names = [column.name for column in found.columns]
    metrics = {"same class": found.metrics, "same name": found.metrics_alike}
    written = page(
        "versions_page.html.j2",
        found=found,
        facts=Facts(
            versions=library_versions(),
            fingerprint=found.fingerprint,
            collisions=found.collisions,
        ),
        names=names,
        matrix=matrix,
        metrics={title: asdict(of) for title, of in metrics.items() if of is not None},
        scalars=SCALARS,
        lines=_lines(found),
        steps=[version.number for version in found.versions],
        last=f"{found.adapter}@{found.versions[-1].number}",
        confusion={
            name: [shaded(value) for value in row]
            for name, row in zip(names, found.confusion, strict=True)
        },
        shown=list(pictures(_files(found))),
        peak_bytes=peak_bytes(),
    )
    path = folder / "report.html"
    write_whole(path, written)
    title = "accuracy (%) on test images; bold: learnt"
    draw_heat_map(folder / "matrix.png", matrix, names, title=title)
    return path


def matrix_of(found: Evaluation) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a heat map."""
    rows = {"zero-shot": [shaded(100 * measured.accuracy) for measured in found.zero_shot]}
    for version in found.versions:
        rows[f"{found.adapter}@{version.number}"] = [
            shaded(100 * measured.accuracy, learnt=column.source in version.submissions)
            for measured, column in zip(version.accuracies, found.columns, strict=True)
        ]
    return rows


def _files(found: Evaluation) -> list[tuple[Answered, bytes]]:
    files = ((answer, read()) for answer, read in found.answered)
    return [(answer, file) for answer, file in files if file is not None]


def _lines(found: Evaluation) -> list[dict[str, Any]]:
    return [
        {
            "title": column.name,
            "color": COLORS[place % len(COLORS)],
            "points": points(
                [100 * version.accuracies[place].accuracy for version in found.versions]
            ),
        }
        for place, column in enumerate(found.columns)
    ]


def _accuracies_csv(found: Evaluation) -> str:
    rows = [("zero-shot", "", found.zero_shot)]
    rows += [(str(each.number), each.digest, each.accuracies) for each in found.versions]
    lines = [
        [number, digest, column.name, *measured]
        for number, digest, accuracies in rows
        for column, measured in zip(found.columns, accuracies, strict=True)
    ]
    return as_csv(["version", "digest", "set", "accuracy", "among equal names", "images"], lines)
