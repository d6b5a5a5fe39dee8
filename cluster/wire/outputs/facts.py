"""Findings of the maintenance of a store as documents: the same over HTTP and in a shell."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from cluster.wire.outputs.maintenance import (
    CheckedAdapter,
    CollectedGarbage,
    PurgedTask,
    SettledChange,
)
from workers.housekeeping.settling import Settlement
from workers.registry import Garbage, Purged, Verification


def checked_document(found: Verification) -> CheckedAdapter:
    """Return what a check of every byte has found."""
    return CheckedAdapter.model_validate({**asdict(found), "clean": found.clean})


def settled_documents(found: Iterable[Settlement]) -> list[SettledChange]:
    """Return what became of lost changes."""
    return [SettledChange.model_validate(asdict(each)) for each in found]


def purged_document(found: Purged) -> PurgedTask:
    """Return what became of a task that was purged."""
    return PurgedTask.model_validate(asdict(found))


def garbage_document(found: Mapping[str, Garbage], *, deleted: bool) -> CollectedGarbage:
    """Return what nothing needs, by the prefix of its keys."""
    listed = {prefix: asdict(garbage) for prefix, garbage in found.items()}
    return CollectedGarbage.model_validate({"deleted": deleted, "found": listed})
