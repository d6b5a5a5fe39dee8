"""The schema of each verb: of what it prints on stdout with `--output json`.

`docs/json.md` is made of this table, and tests hold what the verbs print against it.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from cluster.wire.access import AuditedCall, NamedTokenState, NewToken, SessionState
from cluster.wire.inspection import InspectedTask
from cluster.wire.mistakes import VersionMistakes
from cluster.wire.outputs.advice import GivenAdvice
from cluster.wire.outputs.maintenance import (
    CheckedAdapter,
    CollectedGarbage,
    PurgedTask,
    SettledChange,
)
from cluster.wire.outputs.measured import MeasuredAdapters, MeasuredSuite, ShownDemo
from cluster.wire.outputs.store import StoreReport
from cluster.wire.outputs.submissions import SubmittedTask, SystemStatus, WrittenTaskFile
from cluster.wire.outputs.system import (
    AppliedConfig,
    CheckFinding,
    ReadySystem,
    ServeDocument,
    ShownConfig,
    StartedConsole,
    StartedSystem,
    StoppedSystem,
    SupportBundle,
)
from cluster.wire.outputs.versions import ExportedVersion, ImportedVersion
from cluster.wire.outputs.webhooks import RemovedWebhook
from cluster.wire.predictions import PredictAnswer
from cluster.wire.tasks import QueuePause, TaskEvent, TaskOutcome, TaskState, WorkerLog
from cluster.wire.versions import (
    DroppedTask,
    HistoryEntry,
    Moved,
    PublishedVersion,
    RelearntAdapter,
    ShownVersion,
    VersionDifference,
)
from cluster.wire.webhooks import RegisteredWebhook, TestedWebhook, WebhookState

LINES = frozenset({"watch"})
"""Verbs that print a document per line, as things happen."""

SCHEMAS: Mapping[str, Any] = {
    "advise": GivenAdvice,
    "alias": Moved,
    "audit": list[AuditedCall],
    "bench xtail": MeasuredSuite,
    "cancel": list[TaskOutcome],
    "config": ShownConfig,
    "console": StartedConsole,
    "demo": ShownDemo,
    "diff": VersionDifference,
    "doctor": list[CheckFinding],
    "doctor --store": StoreReport,
    "down": StoppedSystem,
    "drop": DroppedTask,
    "relearn": RelearntAdapter,
    "evaluate": MeasuredAdapters,
    "export": ExportedVersion,
    "gc": CollectedGarbage,
    "history": list[HistoryEntry],
    "import": ImportedVersion,
    "inspect": InspectedTask,
    "logs": list[TaskEvent],
    "logs --worker": list[WorkerLog],
    "mistakes": VersionMistakes,
    "pause": QueuePause,
    "predict": PredictAnswer,
    "promote": Moved,
    "purge": PurgedTask,
    "ready": ReadySystem,
    "resume": QueuePause,
    "retry": list[TaskOutcome],
    "rollback": Moved,
    "serve-config": ServeDocument,
    "session end": list[SessionState],
    "session list": list[SessionState],
    "settle": list[SettledChange],
    "show": ShownVersion,
    "status": SystemStatus,
    "submit": list[SubmittedTask],
    "submit --check": list[InspectedTask],
    "init": WrittenTaskFile,
    "support-bundle": SupportBundle,
    "token create": NewToken,
    "token list": list[NamedTokenState],
    "token revoke": NamedTokenState,
    "up": StartedSystem,
    "up while it runs": AppliedConfig,
    "verify": CheckedAdapter,
    "versions": list[PublishedVersion],
    "watch": TaskState,
    "webhook add": RegisteredWebhook,
    "webhook list": list[WebhookState],
    "webhook remove": RemovedWebhook,
    "webhook resume": WebhookState,
    "webhook rotate": RegisteredWebhook,
    "webhook show": WebhookState,
    "webhook test": TestedWebhook,
}


def schema_of(verb: str) -> TypeAdapter[Any]:
    """Return what checks and describes the output of a verb."""
    return TypeAdapter(SCHEMAS[verb])
