"""The report of an evaluation: one HTML page that needs nothing else, and CSV and PNG beside it.

report.html      everything
accuracies.csv   every cell of the matrix
matrix.png       where matplotlib is installed
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from adapters.mistakes import ChangedImage
from adapters.uncertainty import CONFIDENCE
from harness.answers import Answered, SetComparison
from harness.evaluation import SCALARS, Evaluation
from harness.files import write_whole
from harness.pages.drawing import (
    Facts,
    diagram_bar,
    draw_heat_map,
    library_versions,
    line,
    page,
    picture,
    shaded,
    shown_mistakes,
)
from harness.process import peak_bytes
from harness.table import as_csv
from workers.learning.evaluation import MeasuredAccuracy

CHANGED = 6
"""Most images that are shown of those a version has won of a set, or lost."""


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
        served=served_of(found),
        metrics={title: asdict(of) for title, of in metrics.items() if of is not None},
        scalars=SCALARS,
        lines=_lines(found),
        steps=[version.number for version in found.versions],
        last=_label(found, -1),
        before=_label(found, -2) if found.comparisons else "",
        candidates=candidates_of(found),
        sure=_sure(found),
        reliability=_reliability(found),
        rejected=_rejected(found),
        mistakes=[
            shown_mistakes(each, read)
            for each, read in zip(found.mistakes, found.files, strict=True)
        ],
        changed=_changed(found),
        confusion={
            name: [shaded(value) for value in row]
            for name, row in zip(names, found.confusion, strict=True)
        },
        peak_bytes=peak_bytes(),
    )
    path = folder / "report.html"
    write_whole(path, written)
    title = "accuracy (%) on test images; bold: learnt"
    draw_heat_map(folder / "matrix.png", matrix, names, title=title)
    return path


def matrix_of(found: Evaluation) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a heat map."""
    rows = {"zero-shot": [_cell(measured) for measured in found.zero_shot]}
    for place, version in enumerate(found.versions):
        rows[_label(found, place)] = [
            _cell(measured, learnt=column.source in version.submissions)
            for measured, column in zip(version.accuracies, found.columns, strict=True)
        ]
    return rows


def served_of(found: Evaluation) -> dict[str, list[dict[str, Any] | None]]:
    """Return the rows of a heat map of what `predict` answers; None where that was not learnt."""
    return {
        _label(found, place): [None if each is None else _cell(each) for each in version.served]
        for place, version in enumerate(found.versions)
    }


def _cell(measured: MeasuredAccuracy, *, learnt: bool = False) -> dict[str, Any]:
    low, high = measured.interval
    said = f"{100 * low:.1f} to {100 * high:.1f} with {CONFIDENCE:.0%} confidence"
    return shaded(100 * measured.accuracy, learnt=learnt, said=said)


def _label(found: Evaluation, place: int) -> str:
    return f"{found.adapter}@{found.versions[place].number}"


def candidates_of(found: Evaluation) -> str:
    """Return a sentence that says among how many classes each version has chosen."""
    counts = {found.zero_shot_candidates, *(version.candidates for version in found.versions)}
    least, most = min(counts), max(counts)
    if least == most:
        return f"Every answer was chosen among all {most} classes of all sets."
    return (
        f"Answers were chosen among all classes of all sets and those that the version has learnt "
        f"besides: {least} to {most}, as the list of versions says."
    )


def _sure(found: Evaluation) -> list[dict[str, Any]]:
    rows = []
    for place, each in enumerate(found.mistakes):
        low, high = each.found.interval
        row: dict[str, Any] = {
            "name": each.set_name,
            "accuracy": each.found.right / each.found.images,
            "low": low,
            "high": high,
            "images": each.found.images,
            "wrong": each.found.wrong,
        }
        if found.comparisons:
            of = found.comparisons[place].found
            row |= {"won": len(of.won), "lost": len(of.lost), "p": of.p, "said": of.said}
        rows.append(row)
    return rows


def _reliability(found: Evaluation) -> list[dict[str, Any]]:
    """Return the rows of the table of reliability, the last one with its diagram."""
    rows = []
    for place, version in enumerate(found.versions):
        measured = version.reliability
        if measured is not None:
            bars = [diagram_bar(each, measured) for each in measured.bins]
            rows.append({"label": _label(found, place), "found": measured, "bars": bars})
    return rows


def _rejected(found: Evaluation) -> list[dict[str, Any]]:
    """Return the rows of the table of what is of none of the classes; none where not asked."""
    return [
        {
            "label": _label(found, place),
            "cells": [
                {"found": of, "learnt": column.source in version.submissions}
                for of, column in zip(version.rejected, found.columns, strict=True)
            ],
        }
        for place, version in enumerate(found.versions)
        if version.rejected is not None
    ]


def _changed(found: Evaluation) -> list[dict[str, Any]]:
    return [
        {
            "name": each.set_name,
            "won": len(each.found.won),
            "lost": len(each.found.lost),
            "won_pictures": _pictures(each, each.found.won, read),
            "lost_pictures": _pictures(each, each.found.lost, read),
        }
        for each, read in zip(found.comparisons, found.files, strict=False)
        if each.found.won or each.found.lost
    ]


def _pictures(
    of_set: SetComparison, images: Sequence[ChangedImage], read: Callable[[int], bytes | None]
) -> list[dict[str, Any]]:
    return [
        picture(
            Answered(
                set_name=of_set.set_name,
                image=each.place,
                expected=of_set.names[each.truth],
                predicted=of_set.names[each.after],
                task=each.after.partition("/")[0],
                right=each.after == each.truth,
                confidence=each.confidence,
            ),
            read(each.place),
            before=of_set.names[each.before],
        )
        for each in images[:CHANGED]
    ]


def _lines(found: Evaluation) -> list[dict[str, Any]]:
    return [
        line(
            column.name,
            place,
            [100 * version.accuracies[place].accuracy for version in found.versions],
        )
        for place, column in enumerate(found.columns)
    ]


def _accuracies_csv(found: Evaluation) -> str:
    rows: list[tuple[str, str, Sequence[MeasuredAccuracy | None], int]] = [
        ("zero-shot", "", found.zero_shot, found.zero_shot_candidates)
    ]
    for each in found.versions:
        rows.append((str(each.number), each.digest, each.served, each.served_candidates))
        # Where everything was learnt the two are the same.
        if each.served_candidates != each.candidates or None in each.served:
            rows.append((str(each.number), each.digest, each.accuracies, each.candidates))
    lines = [
        [number, digest, column.name, *measured, *measured.interval, candidates]
        for number, digest, accuracies, candidates in rows
        for column, measured in zip(found.columns, accuracies, strict=True)
        if measured is not None
    ]
    headings = ["version", "digest", "set", "accuracy", "among equal names", "images"]
    return as_csv([*headings, "low", "high", "candidates"], lines)
