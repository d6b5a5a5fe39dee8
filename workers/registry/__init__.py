"""The model registry: versions of adapters that cannot be lost, torn or mixed up."""

from workers.registry.adapter import RegisteredAdapter
from workers.registry.archive import Imported, export_version, import_version
from workers.registry.audience import Audience
from workers.registry.collect import Garbage, collect, collect_blobs
from workers.registry.commit import AddRecord, Commit, DropTask, Inline, SetShared
from workers.registry.diff import AccuracyChange, Difference, comparisons, diff
from workers.registry.documents.accuracy import TaskAccuracy
from workers.registry.documents.answer_sheet import AnsweredTask, AnswerSheet
from workers.registry.documents.history import Action, Author, Entry
from workers.registry.documents.manifest import (
    GATE_NOTE,
    UNMEASURED_NOTE,
    Manifest,
    Provenance,
    TaskRef,
    VersionRef,
)
from workers.registry.documents.refs import Fence, Refs
from workers.registry.drop import LearnAgain, drop, latest_drop, left_out_with
from workers.registry.purge import Holding, Purged, holding_of, purge
from workers.registry.registry import Registry
from workers.registry.requirements import EpochIs, HeadIs, SubmissionAbsent
from workers.registry.swap import RaceRetry
from workers.registry.verify import Damage, Verification, verify
from workers.registry.versions import Version, newest_servable, read_version, read_versions

__all__ = [
    "GATE_NOTE",
    "UNMEASURED_NOTE",
    "AccuracyChange",
    "Action",
    "AddRecord",
    "AnswerSheet",
    "AnsweredTask",
    "Audience",
    "Author",
    "Commit",
    "Damage",
    "Difference",
    "DropTask",
    "Entry",
    "EpochIs",
    "Fence",
    "Garbage",
    "HeadIs",
    "Holding",
    "Imported",
    "Inline",
    "LearnAgain",
    "Manifest",
    "Provenance",
    "Purged",
    "RaceRetry",
    "Refs",
    "RegisteredAdapter",
    "Registry",
    "SetShared",
    "SubmissionAbsent",
    "TaskAccuracy",
    "TaskRef",
    "Verification",
    "Version",
    "VersionRef",
    "collect",
    "collect_blobs",
    "comparisons",
    "diff",
    "drop",
    "export_version",
    "holding_of",
    "import_version",
    "latest_drop",
    "left_out_with",
    "newest_servable",
    "purge",
    "read_version",
    "read_versions",
    "verify",
]
