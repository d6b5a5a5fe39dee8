"""What a commit is: updates that make a new version, and requirements that must hold for it.

Everything here is a value or a pure function on values: `applied` can be repeated on newer refs
as often as a race is lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

from adapters.errors import ConflictError, EncoderMismatchError, InputError
from workers.registry.accuracy import TaskAccuracy
from workers.registry.history import Action, Entry
from workers.registry.layout import HEAD, Stored
from workers.registry.manifest import (
    Manifest,
    Provenance,
    TaskRef,
    VersionRef,
    check_task,
)
from workers.registry.refs import Refs, check_epoch
from workers.store.blobs import BlobRef, blob_ref

_Value = TypeVar("_Value")


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
class Situation:
    """What requirements are checked against.

    Attributes:
        refs: The refs as they are now.
        base: The version that would be built on; None when there is none.
        latest: The latest history entry, to say who was first; None when there is none.
    """

    refs: Refs
    base: Manifest | None
    latest: Entry | None


class Requirement(Protocol):
    """A condition on the state that a commit is applied to."""

    def check(self, situation: Situation) -> None:
        """Raise ConflictError unless the condition holds."""


@dataclass(frozen=True, slots=True)
class HeadIs:
    """`head` still is the version that was trained on (None: there is no version yet)."""

    version: int | None

    def check(self, situation: Situation) -> None:
        """Raise ConflictError, naming who moved `head`, when it is another version."""
        check_alias_is(situation.refs, HEAD, self.version, situation.latest)


@dataclass(frozen=True, slots=True)
class SubmissionAbsent:
    """No task of the version built on was learnt from this submission.

    A commit that finds the submission there has been made already, and reports that version.
    """

    submission: str

    def check(self, situation: Situation) -> None:
        """Raise ConflictError when the submission is there."""
        if situation.base and situation.base.has_submission(self.submission):
            raise ConflictError(
                f"version {situation.base.number} of {situation.base.adapter!r} already holds "
                f"submission {self.submission!r}",
                submission=self.submission,
                version=situation.base.number,
            )


@dataclass(frozen=True, slots=True)
class LeaseIs:
    """The lease still has the epoch under which the trainer works."""

    epoch: int

    def check(self, situation: Situation) -> None:
        """Raise ConflictError, naming the new owner, when the lease was taken over."""
        check_epoch(situation.refs, self.epoch)


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
        base: The alias that is built on; None builds on nothing.
        aliases: These point to the new version from the same instant on.
    """

    updates: tuple[Update, ...]
    requirements: tuple[Requirement, ...] = ()
    encoder: str | None = None
    method: str | None = None
    settings: Mapping[str, Any] | None = None
    provenance: Provenance = field(default_factory=Provenance)
    accuracies: tuple[TaskAccuracy, ...] = ()
    base: str | None = HEAD
    aliases: tuple[str, ...] = (HEAD,)
    action: Action = Action.COMMIT

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
        }


def applied(commit: Commit, situation: Situation, *, now: float) -> Manifest:
    """Return the version that `commit` makes of the situation.

    Raises:
        InputError: An update is impossible, whoever else writes.
        EncoderMismatchError: The adapter was learnt with another encoder.
    """
    refs, base = situation.refs, situation.base
    tasks: tuple[TaskRef, ...] = base.tasks if base else ()
    shared = base.shared if base else None
    for update in commit.updates:
        match update:
            case AddRecord():
                tasks = (*tasks, _task_ref(update, tasks, area=refs.area))
            case DropTask():
                tasks = _without(tasks, update.task, base)
            case SetShared():
                shared = stored_payload(update.state, area=refs.area) if update.state else None
    return Manifest(
        adapter=refs.adapter,
        number=refs.next_version,
        parent=refs.version(commit.base) if base and commit.base else None,
        tasks=tasks,
        shared=shared,
        encoder=_encoder(commit, refs),
        method=_kept("method", commit.method, base.method if base else None),
        settings=_kept("settings", commit.settings, base.settings if base else None),
        provenance=commit.provenance,
        created=now,
    )


def published(commit: Commit, refs: Refs, version: VersionRef, *, encoder: str) -> Refs:
    """Return the refs after `version` was published by `commit`."""
    moved = refs.moved(dict.fromkeys(commit.aliases, version))
    return replace(moved, next_version=version.number + 1, encoder=encoder)


def check_alias_is(refs: Refs, alias: str, expected: int | None, latest: Entry | None) -> None:
    """Raise ConflictError, naming who moved it, unless `alias` points to version `expected`."""
    current = refs.find(alias)
    found = current.number if current else None
    if found == expected:
        return
    by = f" by {latest.author.who!r} ({latest.action.value})" if latest else ""
    raise ConflictError(
        f"alias {alias!r} of {refs.adapter!r} moved: expected version {expected or 'none'}, found "
        f"{found or 'none'}{by}; resolve it again and retry",
        adapter=refs.adapter,
        alias=alias,
        expected=expected,
        found=found,
        winner=latest.author.who if latest else None,
    )


def stored_payload(payload: Payload, *, area: int) -> Stored:
    """Return what names `payload` once it is stored in `area`."""
    ref = payload.ref
    return Stored(sha256=ref.sha256, size=ref.size, area=area)


def _task_ref(update: AddRecord, tasks: tuple[TaskRef, ...], *, area: int) -> TaskRef:
    check_task(update.task, update.submission)
    if any(task.task == update.task for task in tasks):
        raise InputError(
            f"there is a task {update.task!r} already; give the new one another name, or drop the "
            "old one first",
            task=update.task,
        )
    return TaskRef(
        task=update.task,
        submission=update.submission,
        record=stored_payload(update.record, area=area),
        classes=update.classes,
    )


def _without(tasks: tuple[TaskRef, ...], name: str, base: Manifest | None) -> tuple[TaskRef, ...]:
    if base is None:
        raise InputError(f"task {name!r} cannot be dropped: there is no version yet", task=name)
    dropped = base.task(name)
    return tuple(task for task in tasks if task != dropped)


def _encoder(commit: Commit, refs: Refs) -> str:
    encoder = commit.encoder or refs.encoder
    if not encoder:
        raise InputError(f"the first version of {refs.adapter!r} must name its encoder")
    if refs.encoder and encoder != refs.encoder:
        raise EncoderMismatchError(
            f"adapter {refs.adapter!r} was learnt with encoder {refs.encoder!r}, and this version "
            f"with {encoder!r}: their features cannot be compared; use another adapter",
            expected=refs.encoder,
            found=encoder,
        )
    return encoder


def _kept(label: str, given: _Value | None, kept: _Value | None) -> _Value:
    value = kept if given is None else given
    if value is None:
        raise InputError(f"a version that builds on none must name its {label}")
    return value
