"""Applying a commit: pure functions, repeated on newer refs as often as a race is lost."""

from dataclasses import replace
from typing import TypeVar

from adapters.errors import EncoderMismatchError, InputError
from workers.formats.documents import next_count
from workers.registry.commit import AddRecord, Commit, DropTask, Payload, SetShared
from workers.registry.documents.layout import HEAD, Stored
from workers.registry.documents.manifest import Manifest, TaskRef, VersionRef, check_task
from workers.registry.documents.refs import Refs
from workers.registry.requirements import Situation

_Value = TypeVar("_Value")


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
        encoder=_encoder(commit, refs, base),
        method=_kept("method", commit.method, base.method if base else None),
        settings=_kept("settings", commit.settings, base.settings if base else None),
        provenance=commit.provenance,
        created=now,
    )


def published(commit: Commit, refs: Refs, version: VersionRef, *, encoder: str) -> Refs:
    """Return the refs after `version` was published by `commit`."""
    moved = refs.moved(dict.fromkeys(commit.aliases, version))
    return replace(
        moved,
        next_version=next_count(version.number, "the number of a version"),
        encoder=encoder if HEAD in commit.aliases else refs.encoder or encoder,
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


def _encoder(commit: Commit, refs: Refs, base: Manifest | None) -> str:
    """Return the encoder of a version: that of the one it builds on, or of the adapter.

    A branch begins with nothing, and so under any encoder.
    """
    begins = base is None and commit.base not in (None, HEAD)
    expected = base.encoder if base and commit.base else "" if begins else refs.encoder
    encoder = commit.encoder or expected
    if not encoder:
        raise InputError(f"the first version of {refs.adapter!r} must name its encoder")
    if expected and encoder != expected:
        raise EncoderMismatchError(
            f"adapter {refs.adapter!r} was learnt with encoder {expected!r}, and this version "
            f"with {encoder!r}: their features cannot be compared; use another adapter, or learn "
            "this one anew under the other encoder (`nacre relearn`)",
            expected=expected,
            found=encoder,
        )
    return encoder


def _kept(label: str, given: _Value | None, kept: _Value | None) -> _Value:
    value = kept if given is None else given
    if value is None:
        raise InputError(f"a version that builds on none must name its {label}")
    return value
