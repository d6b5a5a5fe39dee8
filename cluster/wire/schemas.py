"""The schema of each verb: of what it prints on stdout with `--output json`.

`docs/json.md` is made of this table, and tests hold what the verbs print against it.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from cluster.wire import outputs
from cluster.wire.documents import (
    DroppedTask,
    HistoryEntry,
    Moved,
    PredictAnswer,
    PublishedVersion,
    TaskEvent,
    TaskOutcome,
    TaskState,
)

LINES = frozenset({"watch"})
"""Verbs that print a document per line, as things happen."""

SCHEMAS: Mapping[str, Any] = {
    "alias": Moved,
    "bench xtail": outputs.MeasuredSuite,
    "cancel": list[TaskOutcome],
    "demo": outputs.ShownDemo,
    "diff": outputs.VersionDifference,
    "doctor": list[outputs.CheckFinding],
    "doctor --store": outputs.StoreReport,
    "down": outputs.StoppedSystem,
    "drop": DroppedTask,
    "evaluate": outputs.MeasuredAdapters,
    "export": outputs.ExportedVersion,
    "gc": outputs.CollectedGarbage,
    "history": list[HistoryEntry],
    "import": outputs.ImportedVersion,
    "logs": list[TaskEvent],
    "pause": outputs.QueuePause,
    "predict": PredictAnswer,
    "promote": Moved,
    "purge": outputs.PurgedTask,
    "resume": outputs.QueuePause,
    "retry": list[TaskOutcome],
    "rollback": Moved,
    "settle": list[outputs.SettledChange],
    "show": outputs.ShownVersion,
    "status": outputs.SystemStatus,
    "submit": list[outputs.SubmittedTask],
    "up": outputs.StartedSystem,
    "up while it runs": outputs.AppliedConfig,
    "verify": outputs.CheckedAdapter,
    "versions": list[PublishedVersion],
    "watch": TaskState,
}


def schema_of(verb: str) -> TypeAdapter[Any]:
    """Return what checks and describes the output of a verb."""
    return TypeAdapter(SCHEMAS[verb])
