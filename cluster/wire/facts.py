"""Versions, moves of aliases and submissions as documents, the same over HTTP and in a shell."""

import time
from dataclasses import asdict

from adapters.errors import printable
from cluster.wire.access import AuditedCall, NamedTokenState, NewToken, SessionState
from cluster.wire.mistaken import compared_document, names_in
from cluster.wire.tasks import Lead, QueuePause, TaskOutcome, TaskState, WorkerLog
from cluster.wire.versions import (
    ChangedAccuracy,
    ChangedTask,
    HistoryEntry,
    Provenance,
    PublishedTask,
    PublishedVersion,
    ShownVersion,
    StoredObject,
    VersionDifference,
)
from workers.access.audit import AuditEntry
from workers.access.kept_tokens import CreatedToken
from workers.access.sessions import Session
from workers.access.tokens import NamedToken
from workers.logs.work_log import WorkLog
from workers.queue.leadership import Leadership
from workers.queue.progress import State
from workers.queue.ticket import ENDED, Stage
from workers.registry import GATE_NOTE, Difference, Entry, Version
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


def shown_document(version: Version) -> ShownVersion:
    """Return what a version holds and where it came from."""
    manifest = version.manifest
    return ShownVersion(
        **version_document(version).model_dump(),
        settings=dict(manifest.settings),
        provenance=Provenance.model_validate(asdict(manifest.provenance)),
        shared=stored_document(manifest.shared) if manifest.shared else None,
        classes=manifest.class_count,
        size_bytes=manifest.size_bytes,
    )


def difference_document(found: Difference) -> VersionDifference:
    """Return what changed between two versions."""
    compared = [compared_document(task, each) for task, each in found.comparisons.items()]
    return VersionDifference(
        adapter=found.after.adapter,
        before=found.before.number,
        after=found.after.number,
        added=[ChangedTask.model_validate(asdict(task)) for task in found.added],
        removed=[ChangedTask.model_validate(asdict(task)) for task in found.removed],
        replaced=[ChangedTask.model_validate(asdict(task)) for task in found.replaced],
        classes=found.classes,
        size_bytes=found.size_bytes,
        accuracies=[ChangedAccuracy.model_validate(asdict(each)) for each in found.accuracies],
        before_candidates=found.candidates[0],
        after_candidates=found.candidates[1],
        compared=compared,
        names=names_in((), compared, found.names),
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
    return Lead(
        host=lead.host, epoch=lead.epoch, since=lead.since, expires=lead.expires, alive=alive
    )


def worker_log_document(log: WorkLog) -> WorkerLog:
    """Return what a worker wrote; what no terminal should be sent is escaped, whoever stored it."""
    fields = {
        key: printable(value) if isinstance(value, str) else value
        for key, value in asdict(log).items()
        if key not in ("head", "tail")
    }
    return WorkerLog.model_validate({**fields, "text": printable(log.text)})


def served_and(*, head: bool) -> tuple[str, ...]:
    """Return the aliases that a rollback or a drop moves."""
    return ("head", "production") if head else ("production",)


def pause_document(adapter: str, lead: Leadership | None, *, done: bool) -> QueuePause:
    """Return what is paused after somebody has asked for a change of it."""
    paused = list(lead.paused) if lead else []
    return QueuePause(adapter=adapter, outcome="done" if done else "asked", paused=paused)


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


def token_document(token: NamedToken, *, now: float) -> NamedTokenState:
    """Return what is known of a named token."""
    ended = "revoked" if token.revoked is not None else "expired"
    state = "valid" if token.ended(now=now) is None else ended
    fields = {key: value for key, value in asdict(token).items() if key != "sha256"}
    return NamedTokenState.model_validate({**fields, "state": state})


def new_token_document(created: CreatedToken) -> NewToken:
    """Return what is known of a token that was just made, with its secret."""
    token = token_document(created.token, now=created.token.created)
    return NewToken(token=created.secret, **token.model_dump())


def session_document(session: Session) -> SessionState:
    """Return what is known of a session."""
    return SessionState(
        id=session.id, who=session.who, created=session.created, expires=session.expires
    )


def audit_document(entry: AuditEntry) -> AuditedCall:
    """Return what the audit log says of a call."""
    return AuditedCall.model_validate(asdict(entry))
