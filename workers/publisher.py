"""The registry role: measures a finished record in its place, and publishes the new version."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from adapters.errors import NotFoundError
from adapters.inference import Adapter
from adapters.records import Record, decode_record
from workers.canonical import canonical_json, digest_of
from workers.encoder import Encoder
from workers.evaluation import HeldOut, accuracies, held_out
from workers.registry import (
    AddRecord,
    Author,
    Commit,
    HeadIs,
    Inline,
    Provenance,
    SubmissionAbsent,
    TaskAccuracy,
)
from workers.store.base import ObjectStore
from workers.submission import Submission, read_submission
from workers.versions import Versions
from workers.work import handover_key, take_over


class Publisher:
    """Measures and publishes versions."""

    def __init__(self, encoder: Encoder, store: ObjectStore, versions: Versions) -> None:
        self._encoder = encoder
        self._store = store
        self._versions = versions

    def published_as(self, submission: Submission) -> int | None:
        """Return the version that brought `submission` into `head`, if `head` holds it."""
        adapter = self._versions.registry.create(submission.adapter)
        return adapter.find_submission(submission.submission_id)

    def publish(self, submission: Submission, *, now: float) -> int:
        """Publish the record that was handed over, and return the number of its version.

        Args:
            submission: What was learnt.
            now: Seconds since the epoch.

        Raises:
            ConflictError: `head` is no longer the version that was learnt on.
        """
        parent, content = take_over(self._store, handover_key(submission.submission_id, "record"))
        record = decode_record(content)
        past = self._versions.records(submission.adapter, parent) if parent else ()
        commit = Commit(
            updates=(
                AddRecord(
                    task=submission.task,
                    submission=submission.submission_id,
                    record=Inline(content),
                    classes=len(submission.classes),
                ),
            ),
            requirements=(HeadIs(parent), SubmissionAbsent(submission.submission_id)),
            encoder=self._encoder.fingerprint,
            method=record.method,
            settings=dict(record.settings),
            provenance=_provenance(submission),
            accuracies=self._measured(submission, parent, (*past, record)),
            aliases=("head", "production"),
        )
        author = Author(who=submission.author, why=f"task {submission.task}", now=now)
        adapter = self._versions.registry.create(submission.adapter)
        return adapter.commit(commit, by=author).number

    def _measured(
        self, submission: Submission, parent: int | None, records: Sequence[Record]
    ) -> tuple[TaskAccuracy, ...]:
        """Return the new version's accuracy on its own and on all earlier tasks."""
        adapter = self._versions.registry.adapter(submission.adapter)
        past = adapter.manifest(parent).tasks if parent else ()
        measured = [
            *(task for ref in past if (task := self._held_out(ref.submission)) is not None),
            held_out(self._store, submission, fingerprint=self._encoder.fingerprint),
        ]
        found = accuracies(Adapter(records), measured, self._encoder)
        images = {task.task: len(task.labels) for task in measured}
        return tuple(
            TaskAccuracy(task=task, accuracy=accuracy, images=images[task])
            for task, accuracy in found.items()
        )

    def _held_out(self, submission_id: str) -> HeldOut | None:
        """Return an earlier task's held-out images; None where its version was imported."""
        try:
            submission = read_submission(self._store, submission_id)
            return held_out(self._store, submission, fingerprint=self._encoder.fingerprint)
        except NotFoundError:
            return None


def _provenance(submission: Submission) -> Provenance:
    digests = {
        split: digest_of(
            canonical_json(
                [shard.image_digests for shard in submission.shards if shard.split == split]
            )
        )
        for split in ("train", "held_out")
    }
    return Provenance(
        author=submission.author, code=_code_version(), seed=submission.seed, images=digests
    )


def _code_version() -> str:
    try:
        return version("nacre")
    except PackageNotFoundError:
        return "unknown"
