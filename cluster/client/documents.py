"""The client over the object store, with the answers of the remote one: documents.

The command line works with one of these two, and prints what either answers.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.contract.counts import first
from adapters.errors import NacreError, one_line
from cluster.client.client import Client
from cluster.client.moved import (
    dropped_document,
    moved_document,
    promoted_document,
    relearnt_document,
    rolled_back_document,
)
from cluster.client.remote.address import Address
from cluster.client.requester import By
from cluster.config import Config
from cluster.webhooks.shown import registered_document, tested_document, webhook_document
from cluster.wire.access import (
    AUDIT_DAYS,
    LIFETIME,
    AuditedCall,
    NamedTokenState,
    NewToken,
    SessionState,
)
from cluster.wire.facts import (
    audit_document,
    cancelled,
    difference_document,
    entry_document,
    lead_document,
    new_token_document,
    pause_document,
    retried,
    session_document,
    shown_document,
    state_document,
    token_document,
    version_document,
    worker_log_document,
)
from cluster.wire.mistaken import mistakes_document
from cluster.wire.mistakes import VersionMistakes
from cluster.wire.outputs.facts import (
    checked_document,
    garbage_document,
    purged_document,
    settled_documents,
)
from cluster.wire.outputs.maintenance import (
    CheckedAdapter,
    CollectedGarbage,
    PurgedTask,
    SettledChange,
)
from cluster.wire.outputs.versions import ExportedVersion, ImportedVersion
from cluster.wire.tasks import (
    QueuePause,
    SourceCount,
    TaskAccepted,
    TaskEvent,
    TaskList,
    TaskOutcome,
    TaskState,
    WorkerLog,
)
from cluster.wire.versions import (
    DroppedTask,
    HeldTask,
    HistoryEntry,
    Moved,
    PublishedVersion,
    RelearntAdapter,
    ServedBehind,
    ShownVersion,
    VersionDifference,
)
from cluster.wire.webhooks import OVERLAP_HOURS, RegisteredWebhook, TestedWebhook, WebhookState
from workers.progress_callbacks import ProgressCallback, StepCallback, unreported, unwatched

if TYPE_CHECKING:
    from cluster.client.remote.inspection import Inspected
    from cluster.client.remote.questions import Images
    from cluster.wire.outputs.measured import MeasuredAdapters
    from cluster.wire.predictions import PredictAnswer
    from workers.intake.drafting import Draft
    from workers.intake.intake import Intake

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


class DocumentClient:
    """Does what `Client` does, and answers as `RemoteClient` does.

    Args:
        client: Does it.
        by: In whose name; whoever `client` stands for where None.

    Attributes:
        config: The configuration.
        address: Where its HTTP API answers.
        client: The same.
    """

    # Owns: nothing.

    def __init__(self, client: Client, *, by: By = None) -> None:
        self.config: Config = client.config
        self.address = Address(url=client.config.endpoint, is_here=True)
        self.client = client
        self._by = by

    def close(self) -> None:
        """Give connections to the API back."""
        self.client.close()

    # Submissions

    def read_task(
        self, file: "Draft | Path | str", *, adapter: str | None = None
    ) -> Callable[[ProgressCallback], TaskAccepted]:
        """Read a task file, and return what submits the task, given whom to tell how far it is."""
        from cluster.client.tasks import load_task

        task = load_task(file, self.config, adapter=adapter)

        def submit(on_progress: ProgressCallback) -> TaskAccepted:
            intake = self.client.submit(task, adapter=adapter, by=self._by, on_progress=on_progress)
            return accepted_document(self.client, intake)

        return submit

    def inspect(
        self,
        task: "Draft | Path | str",
        *,
        adapter: str | None = None,
        features: bool = True,
        shown: int = 24,
        report: Path | None = None,
        on_step: StepCallback = unreported,
    ) -> "Inspected":
        """See `RemoteClient.inspect`."""
        from cluster.client.inspections import inspected
        from harness.pages.inspection_page import write_inspection

        found = self.client.inspect(
            task, adapter=adapter, features=features, shown=shown, by=self._by, on_step=on_step
        )
        page = None if report is None else str(write_inspection(found, report))
        return inspected(found, report=page)

    def queue(self) -> TaskList:
        """See `RemoteClient.queue`."""
        queue = self.client.queue(by=self._by)
        lead = lead_document(queue.lead)
        return TaskList(
            coordinated=lead is not None and lead.alive,
            coordinator=lead,
            paused=list(queue.lead.paused) if queue.lead else [],
            unread_requests=queue.unread,
            refusals=self.refusals(),
            submissions=[state_document(state) for state in queue.states],
        )

    def state(self, submission: str) -> TaskState:
        """See `RemoteClient.state`."""
        return state_document(self.client.state(submission))

    def find(self, name: str) -> TaskState:
        """See `RemoteClient.find`."""
        return state_document(self.client.find(name, by=self._by))

    def cancel(self, name: str) -> TaskOutcome:
        """See `RemoteClient.cancel`."""
        return cancelled(self.client.cancel(name, by=self._by))

    def retry(self, name: str) -> TaskOutcome:
        """See `RemoteClient.retry`."""
        return retried(self.client.retry(name, by=self._by))

    def pause(self, adapter: str) -> QueuePause:
        """See `RemoteClient.pause`."""
        done = self.client.pause(adapter, by=self._by)
        return pause_document(adapter, self.client.queue().lead, done=done)

    def resume(self, adapter: str) -> QueuePause:
        """See `RemoteClient.resume`."""
        done = self.client.resume(adapter, by=self._by)
        return pause_document(adapter, self.client.queue().lead, done=done)

    def journal(self, submission_id: str, *, after: float = 0.0) -> list[TaskEvent]:
        """See `RemoteClient.journal`."""
        entries = self.client.journal(submission_id, after=after)
        return [TaskEvent.model_validate(asdict(entry)) for entry in entries]

    def worker_logs(self, name: str, *, after: float = 0.0) -> list[WorkerLog]:
        """See `RemoteClient.worker_logs`."""
        found = self.client.worker_logs(name, after=after, by=self._by)
        return [worker_log_document(log) for log in found]

    # Versions

    def adapters(self) -> list[str]:
        """See `RemoteClient.adapters`."""
        return self.client.adapters()

    def versions(
        self, adapter: str | None = None, *, limit: int = 0, before: int | None = None
    ) -> list[PublishedVersion]:
        """See `RemoteClient.versions`."""
        found = self.client.versions(adapter, limit=limit, before=before)
        return [version_document(version) for version in found]

    def show(self, version: int | str, *, adapter: str | None = None) -> ShownVersion:
        """See `RemoteClient.show`."""
        return shown_document(self.client.show(version, adapter=adapter))

    def aliases(self, adapter: str | None = None) -> dict[str, int]:
        """See `RemoteClient.aliases`."""
        return self.client.aliases(adapter)

    def history(self, adapter: str | None = None, *, limit: int = 0) -> list[HistoryEntry]:
        """See `RemoteClient.history`."""
        return [entry_document(each) for each in first(self.client.history(adapter), limit)]

    def diff(
        self, before: int | str, after: int | str, *, adapter: str | None = None
    ) -> VersionDifference:
        """See `RemoteClient.diff`."""
        return difference_document(self.client.diff(before, after, adapter=adapter))

    def mistakes(
        self,
        version: int | str,
        *,
        adapter: str | None = None,
        task: str | None = None,
        truth: str | None = None,
        answer: str | None = None,
        limit: int = 20,
    ) -> VersionMistakes:
        """See `RemoteClient.mistakes`."""
        found = self.client.mistakes(
            version, adapter=adapter, task=task, truth=truth, answer=answer, limit=limit
        )
        return mistakes_document(found)

    def refusals(self) -> list[HistoryEntry]:
        """See `RemoteClient.refusals`."""
        return [entry_document(entry) for entry in self.client.refusals(by=self._by)]

    def behind(self, *adapters: str) -> list[ServedBehind]:
        """See `RemoteClient.behind`."""
        removals = self.client.removals()
        found = []
        for name in adapters or self.client.adapters():
            with suppress(NacreError):  # what is wrong with the registry is told by other verbs
                standing, removed = self.client.behind(name), removals.get(name)
                if standing is not None or removed is not None:
                    production, newest = standing or (None, 0)
                    entry = entry_document(removed) if removed else None
                    found.append(
                        ServedBehind(
                            adapter=name, production=production, newest=newest, removed=entry
                        )
                    )
        return found

    def held(self, task: str, *, adapter: str | None = None) -> HeldTask:
        """See `RemoteClient.held`."""
        found = self.client.held(task, adapter=adapter)
        return HeldTask(
            adapter=adapter or self.config.adapter,
            task=task,
            versions=list(found.versions),
            submissions=list(found.submissions),
        )

    # Aliases

    def rollback(
        self,
        version: int | str,
        *,
        adapter: str | None = None,
        serving_only: bool = False,
        why: str = "",
    ) -> Moved:
        """See `RemoteClient.rollback`."""
        number = self.client.rollback(
            version, adapter=adapter, serving_only=serving_only, by=self._by, why=why
        )
        return rolled_back_document(self.client, adapter, number, serving_only=serving_only)

    def promote(
        self,
        version: int | str,
        *,
        adapter: str | None = None,
        alias: str = "production",
        with_head: bool = False,
        why: str = "",
    ) -> Moved:
        """See `RemoteClient.promote`."""
        number = self.client.promote(
            version, adapter=adapter, alias=alias, with_head=with_head, by=self._by, why=why
        )
        return promoted_document(self.client, adapter, number, alias, with_head=with_head)

    def alias(
        self, alias: str, version: int | str, *, adapter: str | None = None, why: str = ""
    ) -> Moved:
        """See `RemoteClient.alias`."""
        number = self.client.alias(alias, version, adapter=adapter, by=self._by, why=why)
        return moved_document(self.client, adapter, number, alias)

    def remove_alias(self, alias: str, *, adapter: str | None = None, why: str = "") -> Moved:
        """See `RemoteClient.remove_alias`."""
        number = self.client.remove_alias(alias, adapter=adapter, by=self._by, why=why)
        return moved_document(self.client, adapter, number, alias)

    def drop(
        self,
        task: str,
        *,
        adapter: str | None = None,
        promoted: bool = False,
        relearn: bool = False,
        why: str = "",
    ) -> DroppedTask:
        """See `RemoteClient.drop`."""
        dropped = self.client.drop(
            task, adapter=adapter, promoted=promoted, relearn=relearn, by=self._by, why=why
        )
        return dropped_document(self.client, adapter, task, dropped, promoted=promoted)

    def relearn(
        self,
        encoder: str,
        *,
        adapter: str | None = None,
        alias: str | None = None,
        partial: bool = False,
        dry_run: bool = False,
    ) -> RelearntAdapter:
        """See `RemoteClient.relearn`."""
        found = self.client.relearn(
            encoder,
            adapter=adapter,
            alias=alias,
            partial=partial,
            dry_run=dry_run,
            by=self._by,
        )
        return relearnt_document(found)

    # Maintenance

    def export(
        self,
        version: int | str,
        path: Path,
        *,
        adapter: str | None = None,
        on_progress: ProgressCallback = unwatched,
    ) -> ExportedVersion:
        """See `RemoteClient.export`."""
        manifest = self.client.export(version, path, adapter=adapter, on_progress=on_progress)
        return ExportedVersion(
            adapter=manifest.adapter,
            version=manifest.number,
            file=str(path),
            size_bytes=path.stat().st_size,
        )

    def import_(
        self,
        path: Path,
        *,
        adapter: str | None = None,
        aliases: tuple[str, ...] = ("head",),
        purged: bool = False,
        why: str = "",
    ) -> ImportedVersion:
        """See `RemoteClient.import_`."""
        found = self.client.import_(
            path, adapter=adapter, aliases=aliases, purged=purged, by=self._by, why=why
        )
        manifest = found.manifest
        moved = aliases if found.is_new else found.aliases
        document = moved_document(self.client, manifest.adapter, manifest.number, *moved)
        return ImportedVersion(is_new=found.is_new, file=str(path), **document.model_dump())

    def verify(
        self, adapter: str | None = None, *, on_progress: ProgressCallback = unwatched
    ) -> CheckedAdapter:
        """See `RemoteClient.verify`."""
        return checked_document(self.client.verify(adapter, on_progress=on_progress))

    def settle(self, adapter: str | None = None, *, why: str = "") -> list[SettledChange]:
        """See `RemoteClient.settle`."""
        return settled_documents(self.client.settle(adapter, by=self._by, why=why))

    def purge(
        self, task: str, *, adapter: str | None = None, relearn: bool = False, why: str = ""
    ) -> PurgedTask:
        """See `RemoteClient.purge`."""
        found = self.client.purge(task, adapter=adapter, relearn=relearn, by=self._by, why=why)
        return purged_document(found)

    def gc(
        self,
        adapter: str | None = None,
        *,
        grace_s: float = DAY_S,
        dry_run: bool = True,
        blobs: bool = False,
        on_progress: ProgressCallback = unwatched,
    ) -> CollectedGarbage:
        """See `RemoteClient.gc`."""
        found = self.client.gc(
            adapter,
            grace_s=grace_s,
            dry_run=dry_run,
            blobs=blobs,
            by=self._by,
            on_progress=on_progress,
        )
        return garbage_document(found, deleted=not dry_run)

    def evaluate(
        self,
        *,
        adapter: str | None = None,
        versions: str = "",
        tasks: Sequence[str] = (),
        sets: Mapping[str, str] | None = None,
        reject: float | None = None,
        threads: int = 2,
        report: Path | None = None,
        on_step: StepCallback = unreported,
    ) -> "MeasuredAdapters":
        """See `RemoteClient.evaluate`."""
        from cluster.evaluation.documents import measured_document
        from harness.pages.versions_page import write_evaluation

        found = self.client.evaluate(
            adapter=adapter,
            versions=versions,
            tasks=tasks,
            sets=sets,
            reject=reject,
            threads=threads,
            on_step=on_step,
        )
        pages = [] if report is None else [str(write_evaluation(found, report))]
        return measured_document([found], reports=pages)

    # Access

    def create_token(
        self, name: str, *, role: str, adapters: Sequence[str] = (), lifetime: str = LIFETIME
    ) -> NewToken:
        """See `RemoteClient.create_token`."""
        made = self.client.create_token(
            name, role=role, adapters=adapters, lifetime=lifetime, by=self._by
        )
        return new_token_document(made)

    def tokens(self) -> list[NamedTokenState]:
        """See `RemoteClient.tokens`."""
        now = time.time()
        return [token_document(token, now=now) for token in self.client.tokens(by=self._by)]

    def revoke_token(self, name: str) -> NamedTokenState:
        """See `RemoteClient.revoke_token`."""
        return token_document(self.client.revoke_token(name, by=self._by), now=time.time())

    def sessions(self) -> list[SessionState]:
        """See `RemoteClient.sessions`."""
        return [session_document(session) for session in self.client.sessions(by=self._by)]

    def end_sessions(self, name: str) -> list[SessionState]:
        """See `RemoteClient.end_sessions`."""
        return [session_document(each) for each in self.client.end_sessions(name, by=self._by)]

    def audit(
        self,
        *,
        adapter: str | None = None,
        who: str | None = None,
        days: int = AUDIT_DAYS,
        limit: int = 0,
    ) -> list[AuditedCall]:
        """See `RemoteClient.audit`."""
        found = self.client.audit(adapter=adapter, days=days, by=self._by)
        of_who = (entry for entry in found if who in (None, entry.who))
        return [audit_document(entry) for entry in first(of_who, limit)]

    # Webhooks

    def add_webhook(
        self, name: str, url: str, *, adapters: Sequence[str] = (), kinds: Sequence[str] = ()
    ) -> RegisteredWebhook:
        """See `RemoteClient.add_webhook`."""
        added = self.client.add_webhook(name, url, adapters=adapters, kinds=kinds, by=self._by)
        return registered_document(added, self.client.webhook(added.name)[1])

    def webhooks(self) -> list[WebhookState]:
        """See `RemoteClient.webhooks`."""
        return [webhook_document(*found) for found in self.client.webhooks()]

    def webhook(self, name: str) -> WebhookState:
        """See `RemoteClient.webhook`."""
        return webhook_document(*self.client.webhook(name))

    def remove_webhook(self, name: str) -> None:
        """See `RemoteClient.remove_webhook`."""
        self.client.remove_webhook(name, by=self._by)

    def rotate_webhook(
        self, name: str, *, overlap_s: float = OVERLAP_HOURS * HOUR_S
    ) -> RegisteredWebhook:
        """See `RemoteClient.rotate_webhook`."""
        rotated = self.client.rotate_webhook(name, overlap_s=overlap_s, by=self._by)
        return registered_document(rotated, self.client.webhook(name)[1])

    def resume_webhook(self, name: str) -> WebhookState:
        """See `RemoteClient.resume_webhook`."""
        self.client.resume_webhook(name, by=self._by)
        return self.webhook(name)

    def test_webhook(self, name: str) -> TestedWebhook:
        """See `RemoteClient.test_webhook`."""
        return tested_document(name, self.client.test_webhook(name, by=self._by))

    # Predictions

    def predict(
        self,
        images: "Images",
        *,
        adapter: str | None = None,
        version: int | str | None = None,
        top_k: int = 5,
        tasks: Sequence[str] = (),
        candidate_labels: Sequence[str] = (),
        reject: float | None = None,
    ) -> "PredictAnswer":
        """See `RemoteClient.predict`."""
        return self.client.predict(
            images,
            adapter=adapter,
            version=version,
            top_k=top_k,
            tasks=tasks,
            candidate_labels=candidate_labels,
            reject=reject,
        )


def accepted_document(client: Client, intake: "Intake") -> TaskAccepted:
    """Return what a task has become that was submitted."""
    return TaskAccepted(
        submission=state_document(client.state(intake.submission)),
        is_new=intake.is_new,
        notes=list(intake.notes()),
        warnings=list(map(one_line, intake.warnings)),
        classes=len(intake.submission.classes),
        images_by_split=dict[str, int](intake.images.items()),
        sources={key: SourceCount.model_validate(count) for key, count in intake.sources().items()},
    )
