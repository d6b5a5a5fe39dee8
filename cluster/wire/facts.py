"""Versions, moves of aliases and submissions as documents, the same over HTTP and in a shell."""

import time

from cluster.wire.tasks import Lead, TaskOutcome, TaskState
from cluster.wire.versions import HistoryEntry, PublishedTask, PublishedVersion, StoredObject
from workers.queue.leadership import Leadership
from workers.queue.progress import State
from workers.queue.ticket import ENDED, Stage
from workers.registry import GATE_NOTE, Entry, Version
from workers.registry.documents.layout import Stored


def version_document(version: Version) -> PublishedVersion:
    """Return the facts of a version."""
    manifest = version.manifest
    accuracies = {entry.task: entry.accuracy for entry in version.accuracies}
    return PublishedVersion(
        adapter=manifest.adapter,
        number=manifest.number,
        label=f"{manifest.adapter}@{manifest.number}",
        digest=version.digest,
        parent=manifest.parent.number if manifest.parent else None,
        created=manifest.created,
        encoder=manifest.encoder,
        method=manifest.method,
        aliases=list(version.aliases),
        tasks=[
            PublishedTask(
                task=task.task,
                submission=task.submission,
                classes=task.classes,
                record=stored_document(task.record),
                accuracy=accuracies.get(task.task),
            )
            for task in manifest.tasks
        ],
        accuracies=accuracies,
        purged=list(version.purged),
        notes=dict(manifest.provenance.notes),
        mean_accuracy=version.mean_accuracy,
        not_measured=list(version.not_measured),
        unmeasured_by_gate=list(manifest.unmeasured),
        gate=manifest.provenance.notes.get(GATE_NOTE),
    )


def stored_document(stored: Stored) -> StoredObject:
    """Return what names an object."""
    return StoredObject(sha256=stored.sha256, size=stored.size, area=stored.area)


def entry_document(entry: Entry) -> HistoryEntry:
    """Return a move of the history."""
    return HistoryEntry(
        index=entry.index,
        action=entry.action.value,
        who=entry.author.who,
        why=entry.author.why,
        when=entry.author.now,
        moves={name: {"from": old, "to": new} for name, (old, new) in entry.moves.items()},
        published=entry.published.number if entry.published else None,
        detail=dict(entry.detail),
    )


def state_document(state: State) -> TaskState:
    """Return where a submission is."""
    return TaskState.model_validate(state.to_json())


def lead_document(lead: Leadership | None) -> Lead | None:
    """Return who coordinates or did last."""
    if lead is None:
        return None
    alive = lead.lasts(now=time.time())
    return Lead(host=lead.host, epoch=lead.epoch, since=lead.since, alive=alive)


def served_and(*, head: bool) -> tuple[str, ...]:
    """Return the aliases that a rollback or a drop moves."""
    return ("head", "production") if head else ("production",)


def cancelled(state: State) -> TaskOutcome:
    """Return what became of a wish to take a submission back; asked for twice, it is done."""
    stage = state.ticket.stage
    ended = "done" if stage is Stage.CANCELLED else "ended"
    return _outcome(state, ended if stage in ENDED else "asked")


def retried(state: State) -> TaskOutcome:
    """Return what became of a wish to try a submission again."""
    stage = state.ticket.stage
    ended = "ended" if stage is Stage.PUBLISHED else "asked"
    return _outcome(state, ended if stage in ENDED else "done")


def _outcome(state: State, outcome: str) -> TaskOutcome:
    return TaskOutcome.model_validate({**state.to_json(), "outcome": outcome})
