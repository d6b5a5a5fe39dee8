"""Inspections as documents."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from cluster.client.remote.inspection import Inspected
from cluster.wire.inspection import InspectedTask

if TYPE_CHECKING:
    from workers.inspection.inspecting import Inspection


def inspected(found: "Inspection", *, report: str | None = None) -> Inspected:
    """Return what was found as a document.

    Args:
        found: What was found.
        report: The page that was written of it.
    """
    return Inspected(document=_document(found, report), refusals=found.refusals)


def _document(found: "Inspection", report: str | None) -> InspectedTask:
    embedded = found.embedded
    keys = {"train": "images", "held_out": "held_out"}
    return InspectedTask.model_validate(
        {
            "task": found.task.name,
            "adapter": found.task.adapter,
            "refusals": [
                {"error": type(each).__name__, "message": each.message} for each in found.refusals
            ],
            "submitted": found.submitted,
            "images_by_split": dict(found.images),
            "drawn": found.drawn,
            "classes": asdict(found.classes),
            "sources": {keys[split]: each.to_json() for split, each in found.sources.items()},
            "unreadable": asdict(found.unreadable),
            "cut": asdict(found.cut),
            "exact": asdict(found.exact),
            "near": asdict(found.near),
            "suspicious": found.suspicious and asdict(found.suspicious),
            "outliers": found.outliers and asdict(found.outliers),
            "shared": asdict(found.shared),
            "elsewhere": dict(found.elsewhere),
            "estimate": asdict(found.estimate),
            "encoder": embedded and embedded.fingerprint,
            "embedded": embedded.made if embedded else 0,
            "report": report,
        }
    )
