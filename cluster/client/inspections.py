"""Inspections as documents, and the error that a submission would end with."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from adapters.errors import InputError, NacreError
from cluster.wire.inspection import InspectedTask
from workers.formats.problems import raise_all

if TYPE_CHECKING:
    from workers.inspection.inspecting import Inspection


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspected:
    """An inspection that was told.

    Attributes:
        document: It, for people and machines.
        refusals: Why the task would not be accepted as it is.
    """

    document: InspectedTask
    refusals: Sequence[NacreError]

    def check(self) -> None:
        """Raise the error with which `submit` would end; return where it would accept the task."""
        raise_all([each for each in self.refusals if isinstance(each, InputError)])
        for other in self.refusals:
            raise other


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
