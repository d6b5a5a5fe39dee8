"""Manifest of a version: the records it holds, and their provenance."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from pydantic import FiniteFloat

from adapters.contract.json_reading import read_json, typed
from adapters.errors import CorruptionError, InputError, NotFoundError
from workers.formats.documents import Count, Digest, Size, encode, validated
from workers.registry.documents.layout import Stored, StoredJson, stored_of
from workers.registry.documents.task_lists import KnownLists, parted

GATE_NOTE, UNMEASURED_NOTE = "gate", "unmeasured"
"""Among the notes of a version's provenance: what the gate said of it, and the names of the tasks
that it could not measure, with commas between."""
MAX_TASK_BYTES = 64
MAX_SUBMISSION_BYTES = 36
"""Of a submission id; where it begins with the task's name and a dash, of what follows it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRef:
    """One task of a version: its record by digest, and the facts that need no look into it.

    Attributes:
        task: The task's name, unique in its version.
        submission: Id of the submission that the record was learnt from.
        record: Names the record's bytes.
        classes: How many classes the record holds.
    """

    task: str
    submission: str
    record: Stored
    classes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """Where a version came from.

    Attributes:
        author: Who submitted the task.
        code: Version of the code that learnt it.
        seed: The seed of the training; None where nothing was trained.
        images: Digest over the images it was learnt from, by split or by name.
        notes: Anything else that is worth keeping, as text.
    """

    author: str = ""
    code: str = ""
    seed: int | None = None
    images: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionRef:
    """A version by its number, and the manifest that describes it."""

    number: int
    manifest: Stored

    def to_json(self) -> list[Any]:
        """Return [number, [digest, size, area]]."""
        return [self.number, self.manifest.to_json()]


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """One published, immutable state of an adapter.

    Attributes:
        adapter: The adapter's name.
        number: Rises with every version and is never used again.
        parent: The version it was made from; None for the first.
        tasks: Its tasks, in the order in which they were learnt.
        shared: State that the tasks share; None for methods that have none.
        encoder: Fingerprint of the encoder.
        method: The method that learnt it.
        settings: The method's settings.
        provenance: Where it came from.
        created: When it was published, in seconds since 1970.
    """

    adapter: str
    number: int
    parent: VersionRef | None
    tasks: tuple[TaskRef, ...]
    shared: Stored | None
    encoder: str
    method: str
    settings: Mapping[str, Any]
    provenance: Provenance
    created: float

    def task(self, name: str) -> TaskRef:
        """Return the task called `name`; NotFoundError naming those that exist."""
        for task in self.tasks:
            if task.task == name:
                return task
        known = ", ".join(task.task for task in self.tasks) or "none"
        raise NotFoundError(
            f"version {self.number} of {self.adapter!r} has no task {name!r}; it has: {known}",
            adapter=self.adapter,
            version=self.number,
            task=name,
        )

    def has_submission(self, submission: str) -> bool:
        """Say whether a task of this version was learnt from `submission`."""
        return any(task.submission == submission for task in self.tasks)

    @property
    def unmeasured(self) -> tuple[str, ...]:
        """The tasks of this version that the gate had to measure and could not."""
        noted = self.provenance.notes.get(UNMEASURED_NOTE)
        return tuple(noted.split(", ")) if noted else ()

    @property
    def size_bytes(self) -> int:
        """Bytes of all its records and its shared state."""
        shared = self.shared.size if self.shared else 0
        return shared + sum(task.record.size for task in self.tasks)

    @property
    def class_count(self) -> int:
        """How many classes all its tasks have together."""
        return sum(task.classes for task in self.tasks)

    def to_bytes(self) -> bytes:
        """Return the canonical document."""
        return encode(
            {
                "adapter": self.adapter,
                "number": self.number,
                "parent": self.parent and self.parent.to_json(),
                "tasks": [_task_to_json(task) for task in self.tasks],
                "shared": self.shared and self.shared.to_json(),
                "encoder": self.encoder,
                "method": self.method,
                "settings": dict(self.settings),
                "provenance": asdict(self.provenance),
                "created": self.created,
            }
        )


def manifest_from_bytes(data: bytes, what: str) -> Manifest:
    """Return the manifest in `data`; CorruptionError naming `what` when there is none."""
    stored, tasks = _grown(data, what) or _whole(data, what)
    return Manifest(
        adapter=stored.adapter,
        number=stored.number,
        parent=stored.parent and version_of(stored.parent),
        tasks=tasks,
        shared=stored.shared and stored_of(stored.shared),
        encoder=stored.encoder,
        method=stored.method,
        settings=stored.settings,
        provenance=stored.provenance,
        created=stored.created,
    )


VersionJson = tuple[Count, StoredJson]
"""What `VersionRef.to_json` writes, as documents are validated."""
_TaskJson = tuple[str, str, Count, Digest, Size, Count]


def version_of(value: VersionJson) -> VersionRef:
    """Return the reverse of `VersionRef.to_json`."""
    number, manifest = value
    return VersionRef(number=number, manifest=stored_of(manifest))


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredManifest:
    adapter: str
    number: Count
    parent: VersionJson | None
    tasks: tuple[_TaskJson, ...]
    shared: StoredJson | None
    encoder: str
    method: str
    settings: dict[str, Any]
    provenance: Provenance
    created: FiniteFloat


def _whole(data: bytes, what: str) -> tuple[_StoredManifest, tuple[TaskRef, ...]]:
    stored = validated(_StoredManifest, data, what)
    return stored, tuple(map(_task_of, stored.tasks))


def _grown(data: bytes, what: str) -> tuple[_StoredManifest, tuple[TaskRef, ...]] | None:
    """Return the same as `_whole`, reading only what another manifest did not begin with.

    None where that cannot be: `_whole` then says what is wrong, if anything is.
    """
    parts = parted(data)
    if parts is None:
        return None
    try:
        stored = validated(_StoredManifest, parts[0], what)
        return None if stored.tasks else (stored, _LISTS.items(parts[1]))
    except (CorruptionError, ValueError):
        return None


def _tasks_of(data: bytes) -> tuple[TaskRef, ...]:
    read_json(data)  # of one meaning; types are looked at where it is read again
    return tuple(map(_task_of, typed(tuple[_TaskJson, ...]).validate_json(data, strict=True)))


_LISTS = KnownLists(_tasks_of)


def check_task(task: str, submission: str) -> None:
    """Raise InputError unless the names fit into a manifest's line of 200 bytes."""
    for label, text, limit in (
        ("task name", task, MAX_TASK_BYTES),
        ("submission id", _shortened(task, submission), MAX_SUBMISSION_BYTES),
    ):
        plain = text.isprintable() and not set(text) & set('"\\')
        if not (text and plain and len(text.encode()) <= limit):
            raise InputError(
                f"{text!r} cannot be a {label}: expected 1 to {limit} bytes of printable text "
                "without quotes and backslashes",
                task=task,
                submission=submission,
            )
    if submission.startswith("-"):
        raise InputError(f"submission id {submission!r} must not start with a dash")


def _shortened(task: str, submission: str) -> str:
    """Leave out the task's name where the submission id begins with it: it is in the line."""
    return submission.removeprefix(task) if submission.startswith(f"{task}-") else submission


def _task_to_json(task: TaskRef) -> list[Any]:
    submission = _shortened(task.task, task.submission)
    return [task.task, submission, task.classes, *task.record.to_json()]


@lru_cache(maxsize=2**15)  # versions that share a task share what says so
def _task_of(value: _TaskJson) -> TaskRef:
    name, submission, classes, sha256, size, area = value
    return TaskRef(
        task=name,
        submission=f"{name}{submission}" if submission.startswith("-") else submission,
        classes=classes,
        record=Stored(sha256=sha256, size=size, area=area),
    )
