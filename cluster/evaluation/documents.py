"""Evaluations as documents: the same over HTTP and in a shell."""

from collections.abc import Sequence
from dataclasses import asdict

from adapters.reliability import Reliability
from cluster.wire.mistaken import compared_document, mistaken_document, names_in
from cluster.wire.outputs.measured import MeanFigure, MeasuredAdapter, MeasuredAdapters
from harness.evaluation import Evaluation, HasMetrics, over_adapters
from workers.learning.evaluation import MeasuredAccuracy


def measured_document(
    found: Sequence[Evaluation], *, reports: Sequence[str] = ()
) -> MeasuredAdapters:
    """Return the accuracy matrices of adapters.

    Args:
        found: How their versions answer.
        reports: Pages that were written of it.
    """
    return MeasuredAdapters(
        adapters=[_adapter(each) for each in found],
        over_adapters=_over(found),
        reports=list(reports),
    )


def together(found: Sequence[MeasuredAdapters]) -> MeasuredAdapters:
    """Return what was measured of several adapters, one after the other, as one document."""
    adapters = [adapter for each in found for adapter in each.adapters]
    return MeasuredAdapters(
        adapters=adapters,
        over_adapters=_over(adapters),
        reports=[page for each in found for page in each.reports],
    )


def _over(found: Sequence[HasMetrics]) -> dict[str, MeanFigure]:
    return {
        name: MeanFigure(mean=figure.mean, half=figure.half)
        for name, figure in over_adapters(found).items()
    }


def _adapter(found: Evaluation) -> MeasuredAdapter:
    mistakes = [
        mistaken_document(
            each.set_name, each.found, submission=None if column.seed is None else column.source
        )
        for each, column in zip(found.mistakes, found.columns, strict=True)
    ]
    compared = [compared_document(each.set_name, each.found) for each in found.comparisons]
    names: dict[str, str] = {}
    for known in (
        *(each.names for each in found.mistakes),
        *(each.names for each in found.comparisons),
    ):
        names.update(known)
    return MeasuredAdapter.model_validate(
        {
            "adapter": found.adapter,
            "encoder": found.fingerprint,
            "sets": [asdict(column) for column in found.columns],
            "zero_shot": [_cell(measured) for measured in found.zero_shot],
            "zero_shot_candidates": found.zero_shot_candidates,
            "versions": [
                {
                    "number": version.number,
                    "digest": version.digest,
                    "candidates": version.candidates,
                    "accuracies": [_cell(measured) for measured in version.accuracies],
                    "served_candidates": version.served_candidates,
                    "served": [
                        None if measured is None else _cell(measured) for measured in version.served
                    ],
                    "reliability": version.reliability and _reliability(version.reliability),
                    "rejected": version.rejected
                    and [each and each._asdict() for each in version.rejected],
                }
                for version in found.versions
            ],
            "metrics": asdict(found.metrics) if found.metrics else None,
            "metrics_alike": asdict(found.metrics_alike) if found.metrics_alike else None,
            "collisions": {name: list(ids) for name, ids in found.collisions.items()},
            "remarks": list(found.remarks),
            "names": names_in(mistakes, compared, names),
            "mistakes": mistakes,
            "compared": compared,
        }
    )


def _reliability(found: Reliability) -> dict[str, object]:
    return {**asdict(found), "bins": [each._asdict() for each in found.bins]}


def _cell(measured: MeasuredAccuracy) -> dict[str, float]:
    return {**measured._asdict(), **measured.interval._asdict()}
