"""Publisher worker: says what to learn on, measures the record, and publishes the version."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version

from adapters.contract.adapter_state import decode_shared
from adapters.contract.canonical import canonical_json, digest_of
from adapters.contract.records import decode_record
from adapters.errors import InputError, NacreError, NotFoundError
from adapters.mistakes import Comparison
from workers import registry
from workers.encoding.encoder import Encoder
from workers.learning.crew import Assignment, Begun, Publication
from workers.learning.gate import Verdict, judge
from workers.learning.handover import find_handover, handover_key, take_over_finished
from workers.learning.kept_answers import keep_answers
from workers.learning.measuring import Candidate, VersionMeasuring
from workers.learning.relearning import awaited
from workers.registry import (
    GATE_NOTE,
    UNMEASURED_NOTE,
    AddRecord,
    AnswerSheet,
    Author,
    Commit,
    DropTask,
    EpochIs,
    HeadIs,
    Inline,
    Provenance,
    SetShared,
    SubmissionAbsent,
    TaskAccuracy,
    TaskRef,
)
from workers.registry.documents.forks import check_no_fork
from workers.registry.documents.layout import PRODUCTION
from workers.registry.record_cache import Versions
from workers.store.base import ObjectStore
from workers.tasks.submission import Submission
from workers.traces.spans import span

logger = logging.getLogger("nacre.publisher")


class Publisher:
    """Measures and publishes versions."""

    # Owns: nothing that changes but the caches inside `versions`.

    def __init__(self, encoder: Encoder, store: ObjectStore, versions: Versions) -> None:
        self._encoder = encoder
        self._store = store
        self._versions = versions
        self._measuring = VersionMeasuring(encoder, store, versions)

    def begin(self, submission: Submission, *, owner: str, since: int | None) -> Begun:
        """See `Crew.begin`.

        Raises:
            InputError: the task that it replaces is not in `head`.
            ForkedError: the store has lost changes of the adapter, and nobody has settled that.
        """
        adapter = self._versions.registry.create(submission.adapter)
        # First the fence, then the look: nobody who began before can publish after the look.
        fence = adapter.fence(owner)
        refs = adapter.refs()
        base = refs.find(submission.base)
        published = self._published(adapter, submission, since=since)
        if published is None:
            check_no_fork(adapter.name, refs.forks)
        manifest = adapter.manifest(base.number) if base else None
        if published is None and submission.replaces:
            _check_replaces(submission, manifest.tasks if manifest else ())
        return Begun(
            parent=manifest.number if manifest else 0,
            epoch=fence.epoch,
            encoder=manifest.encoder if manifest else self._encoder.fingerprint,
            published=published,
        )

    def learnt_under(self, submission: Submission) -> str:
        """Return the fingerprint of the encoder under which a submission would be learnt now."""
        try:
            adapter = self._versions.registry.adapter(submission.adapter)
            base = adapter.refs().find(submission.base)
        except NotFoundError:  # the first task of its adapter
            base = None
        if base is None:
            return self._encoder.fingerprint
        return adapter.objects.manifest(base.manifest).encoder

    def publish(self, assignment: Assignment, *, now: float) -> Publication:
        """Publish the record that was handed over.

        Args:
            assignment: What was learnt.
            now: Seconds since the epoch.

        Raises:
            ConflictError: `head` is no longer the version that was learnt on, or somebody else has
                begun to learn for this adapter.
        """
        submission = assignment.submission
        content = take_over_finished(self._store, _handover_key(assignment, "record"))
        record = decode_record(content)
        adapter = self._versions.registry.create(submission.adapter)
        handed = self._shared(assignment)
        shared = None if handed is None else decode_shared(handed)
        kept = self._kept(assignment)
        candidate = Candidate(
            submission=submission,
            parent=assignment.parent,
            kept=kept,
            content=content,
            shared=shared,
            code=_code_version(),
        )
        with span("measure", tasks=len(kept) + 1):
            measured = self._measuring.measured(candidate)
        before = self._before(adapter, assignment, kept)
        verdict = judge(
            assignment.gate,
            task=submission.task,
            earlier=[task.task for task in kept],
            before=before,
            after=measured.accuracies,
            compared=self._compared(adapter, assignment, kept, measured.sheet),
        ).waiting_for(self._awaited(adapter, submission, kept))
        for each in measured.accuracies:
            logger.info("measured task %s: %.4f", each.task, each.accuracy)
        commit = Commit(
            updates=(
                *((DropTask(task=submission.replaces),) if submission.replaces else ()),
                AddRecord(
                    task=submission.task,
                    submission=submission.submission_id,
                    record=Inline(content),
                    classes=len(submission.classes),
                ),
                *((SetShared(state=Inline(handed)),) if handed is not None else ()),
            ),
            requirements=(
                EpochIs(assignment.epoch),
                HeadIs(assignment.parent or None, alias=submission.base),
                SubmissionAbsent(submission.submission_id),
            ),
            encoder=self._encoder.fingerprint,
            method=record.method,
            settings=dict(record.settings),
            provenance=_provenance(submission, verdict),
            accuracies=measured.accuracies,
            answers=measured.sheet,
            base=submission.base,
            aliases=_aliases(submission, verdict),
        )
        author = Author(who=submission.author, why=f"task {submission.task}", now=now)
        with span("commit") as committing:
            number = adapter.commit(commit, by=author).number
            committing.note(version=number)
        logger.info("published as version %d", number)
        if measured.kept is not None and verdict.built_upon:
            with suppress(NacreError):  # the next version is measured from the beginning then
                keep_answers(self._store, adapter.name, measured.kept)
        return Publication(version=number, built_upon=verdict.built_upon, note=verdict.said)

    def _published(
        self, adapter: registry.RegisteredAdapter, submission: Submission, *, since: int | None
    ) -> Publication | None:
        """Return what an earlier attempt has published, even where it was rolled back since."""
        name = submission.submission_id
        there = adapter.find_submission(name, submission.base)
        if there is not None:
            return Publication(version=there, note=_note(adapter, there))
        entry = None if since is None else adapter.publication(name, after=since)
        if entry is None or entry.published is None:
            return None
        number = entry.published.number
        return Publication(
            version=number, built_upon=submission.base in entry.moves, note=_note(adapter, number)
        )

    def _kept(self, assignment: Assignment) -> list[TaskRef]:
        """Return the tasks of the parent that the new version has too."""
        submission, parent = assignment.submission, assignment.parent
        adapter = self._versions.registry.adapter(submission.adapter)
        tasks = adapter.manifest(parent).tasks if parent else ()
        return [task for task in tasks if task.task != submission.replaces]

    def _before(
        self, adapter: registry.RegisteredAdapter, assignment: Assignment, kept: Sequence[TaskRef]
    ) -> tuple[TaskAccuracy, ...]:
        """Return how well the parent knows the tasks of the new version.

        Where a gate asks, what was not measured when the parent was published is measured now: a
        version from which a task was dropped has no figures of its own.
        """
        parent = assignment.parent
        if not parent:
            return ()
        found = adapter.accuracies(parent, patience=self._store.patience)
        names = {entry.task for entry in found}
        missing = [task for task in kept if task.task not in names]
        if assignment.gate.mode != "gate" or not missing:
            return found
        return (*found, *self._measuring.of_version(adapter.name, parent, missing))

    def _compared(
        self,
        adapter: registry.RegisteredAdapter,
        assignment: Assignment,
        kept: Sequence[TaskRef],
        sheet: AnswerSheet,
    ) -> dict[str, Comparison]:
        """Return what the new version has won and lost of earlier tasks, where the gate asks.

        Where the parent's answers were not kept, they are made now.
        """
        if not (assignment.parent and assignment.gate.mode == "gate"):
            return {}
        if not assignment.gate.significant:
            return {}
        before = adapter.answer_sheet(assignment.parent) or self._measuring.sheet_of_version(
            adapter.name, assignment.parent, kept
        )
        return registry.comparisons(before, sheet)

    def _awaited(
        self, adapter: registry.RegisteredAdapter, submission: Submission, kept: Sequence[TaskRef]
    ) -> list[str]:
        """Return the tasks that are served, that the new version lacks, and that come again."""
        served = adapter.refs().find(PRODUCTION)
        manifest = adapter.objects.manifest(served.manifest) if served else None
        return awaited(self._store, manifest, {submission.task, *(task.task for task in kept)})

    def _shared(self, assignment: Assignment) -> bytes | None:
        """Return the shared state that was handed over; None where the method has none."""
        record = _handover_key(assignment, "record")
        return find_handover(self._store, _handover_key(assignment, "shared"), beside=record)


def _aliases(submission: Submission, verdict: Verdict) -> tuple[str, ...]:
    """Return the aliases that move to a version; of a branch nothing is served before a person
    says so.
    """
    if submission.branch is None:
        return verdict.aliases
    return (submission.branch.alias,) * verdict.built_upon


def _handover_key(assignment: Assignment, stage: str) -> str:
    return handover_key(assignment.submission.submission_id, assignment.parent, stage)


def _check_replaces(submission: Submission, tasks: Sequence[TaskRef]) -> None:
    names = [task.task for task in tasks]
    if submission.replaces not in names:
        raise InputError(
            f"task {submission.task!r} is to replace {submission.replaces!r}, which is not in the "
            f"head of adapter {submission.adapter!r} (it has: {', '.join(names) or 'no task'}); "
            "submit it without `replaces`, or name one of them",
            task=submission.task,
        )


def _note(adapter: registry.RegisteredAdapter, number: int) -> str | None:
    return adapter.manifest(number).provenance.notes.get(GATE_NOTE)


def _provenance(submission: Submission, verdict: Verdict) -> Provenance:
    digests = {
        split: digest_of(
            canonical_json(
                [shard.image_digests for shard in submission.shards if shard.split == split]
            )
        )
        for split in ("train", "held_out")
    }
    notes = {GATE_NOTE: verdict.said, UNMEASURED_NOTE: ", ".join(verdict.unmeasured)}
    return Provenance(
        author=submission.author,
        code=_code_version(),
        seed=submission.seed,
        images=digests,
        notes={key: note for key, note in notes.items() if note},
    )


def _code_version() -> str:
    try:
        return version("nacre")
    except PackageNotFoundError:
        return "unknown"
