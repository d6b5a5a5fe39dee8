"""Commits as values: updates that make a new version, and requirements that must hold for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from workers.registry.documents.accuracy import TaskAccuracy
from workers.registry.documents.answer_sheet import AnswerSheet
from workers.registry.documents.history import SETTLES, Action
from workers.registry.documents.layout import HEAD
from workers.registry.documents.manifest import Provenance
from workers.registry.requirements import Requirement, SubmissionAbsent
from workers.store.blobs import BlobRef, blob_ref


class Payload(Protocol):
    """Bytes to be stored, which may be read only when they are needed."""

    @property
    def ref(self) -> BlobRef:
        """Digest and size of the bytes."""

    def read(self) -> bytes:
        """Return the bytes."""


@dataclass(frozen=True)
class Inline:
    """A payload that is in memory."""

    data: bytes

    @cached_property
    def ref(self) -> BlobRef:
        """Digest and size of the bytes."""
        return blob_ref(self.data)

    def read(self) -> bytes:
        """Return the bytes."""
        return self.data


@dataclass(frozen=True, kw_only=True, slots=True)
class AddRecord:
    """Append a task with its record.

    Attributes:
        task: The task's name.
        submission: The submission it was learnt from.
        record: The record's bytes.
        classes: How many classes the record holds.
    """

    task: str
    submission: str
    record: Payload
    classes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class DropTask:
    """Leave a task out of the new version; its record stays in the older ones."""

    task: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SetShared:
    """Replace the state that the tasks share."""

    state: Payload | None


Update = AddRecord | DropTask | SetShared


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """A new version: what it changes, and under which conditions.

    Attributes:
        updates: Applied in this order.
        requirements: Checked on every attempt, right before the only write that takes effect.
        encoder: Fingerprint of the encoder; None keeps that of the adapter.
        method: The method; None keeps that of the version built on.
        settings: The method's settings as JSON values; None keeps those built on.
        provenance: Where the version comes from.
        accuracies: Measured before the commit, stored with it.
        answers: The answers that were measured, stored with it, too.
        base: The alias that is built on; None builds on nothing.
        aliases: These point to the new version from the same instant on.
        action: What the history calls it.
        settles: The write id of a fork whose lost version this publishes again.
    """

    updates: tuple[Update, ...]
    requirements: tuple[Requirement, ...] = ()
    encoder: str | None = None
    method: str | None = None
    settings: Mapping[str, Any] | None = None
    provenance: Provenance = field(default_factory=Provenance)
    accuracies: tuple[TaskAccuracy, ...] = ()
    answers: AnswerSheet | None = None
    base: str | None = HEAD
    aliases: tuple[str, ...] = (HEAD,)
    action: Action = Action.COMMIT
    settles: str = ""

    @property
    def payloads(self) -> tuple[Payload, ...]:
        """The bytes that must be stored before the version can exist."""
        found = (
            update.record if isinstance(update, AddRecord) else update.state
            for update in self.updates
            if not isinstance(update, DropTask)
        )
        return tuple(payload for payload in found if payload is not None)

    @property
    def submissions(self) -> tuple[str, ...]:
        """Submissions that a version which already has them makes this commit unnecessary."""
        return tuple(
            requirement.submission
            for requirement in self.requirements
            if isinstance(requirement, SubmissionAbsent)
        )

    @property
    def detail(self) -> dict[str, str]:
        """What the history says of this commit."""
        added = [update for update in self.updates if isinstance(update, AddRecord)]
        dropped = [update.task for update in self.updates if isinstance(update, DropTask)]
        return {
            **({"added": ", ".join(update.task for update in added)} if added else {}),
            **({"submission": added[0].submission} if len(added) == 1 else {}),
            **({"dropped": ", ".join(dropped)} if dropped else {}),
            **({SETTLES: self.settles} if self.settles else {}),
        }
