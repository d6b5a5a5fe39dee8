"""Inspections that were told: the document, and the error that a submission would end with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adapters.errors import InputError, NacreError, error_called
from cluster.wire.inspection import InspectedTask
from workers.formats.problems import raise_all

PAGE = "inspection.html"


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspected:
    """An inspection that was told.

    Attributes:
        document: It, for people and machines.
        refusals: Why the task would not be accepted as it is.
    """

    document: InspectedTask
    refusals: Sequence[NacreError]

    @classmethod
    def of(cls, document: InspectedTask) -> "Inspected":
        """Return an inspection of which only the document is known."""
        refusals = [
            (error_called(each.error) or InputError)(each.message) for each in document.refusals
        ]
        return cls(document=document, refusals=refusals)

    def check(self) -> None:
        """Raise the error with which `submit` would end; return where it would accept the task."""
        raise_all([each for each in self.refusals if isinstance(each, InputError)])
        for other in self.refusals:
            raise other


def with_page(document: InspectedTask, folder: Path, page: str) -> InspectedTask:
    """Write the page into a folder, and return the document with its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PAGE
    path.write_text(page, encoding="utf-8")
    return document.model_copy(update={"report": str(path)})
