"""Reachability: everything that the refs of an adapter lead to, for garbage collection."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from adapters.errors import CorruptionError, MissingError
from workers.registry.documents.accuracy import accuracies_from_bytes
from workers.registry.documents.answer_sheet import sheet_from_bytes
from workers.registry.documents.layout import (
    Kind,
    Stored,
    accuracies_key,
    answers_key,
    object_key,
)
from workers.registry.documents.manifest import Manifest, TaskRef, VersionRef
from workers.registry.documents.purged import purged_versions
from workers.registry.documents.refs import Refs
from workers.registry.past import past_entries, past_manifests, side_by_side
from workers.registry.reader import AdapterReader

Reads = Callable[[bytes, str], object]
OnBroken = Callable[[str, CorruptionError | MissingError], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reached:
    """An object that something leads to.

    Attributes:
        key: Where it lies.
        stored: Its digest and size; None for what carries its own digest.
        used_by: What leads to it, for people.
        reads: What reads and checks the bytes of what carries its own digest, which may be absent.
        task: Of which it is the record; empty for what is none.
        shared_by: The version whose shared state it is; None for what is none.
    """

    key: str
    stored: Stored | None
    used_by: str
    task: str = ""
    shared_by: Manifest | None = None
    reads: Reads | None = None


@dataclass(kw_only=True)
class Reach:
    """Everything that refs lead to: all versions ever published, but what was purged of them.

    Args:
        reader: The adapter.
        on_broken: Called with what leads to a damaged document, and the error; without it the
            error is raised.

    Attributes:
        objects: What was reached, by key.
        published: The versions that the history knows.
        checked: The keys of those documents on the way that were read and are right.
    """

    reader: AdapterReader
    on_broken: OnBroken | None = None
    objects: dict[str, Reached] = field(default_factory=dict)
    published: set[VersionRef] = field(default_factory=set)
    checked: set[str] = field(default_factory=set)
    _buried: set[int] = field(default_factory=set)
    _purged: set[Stored] = field(default_factory=set)
    _noted: set[tuple[Kind, Stored]] = field(default_factory=set)
    _tasks: tuple[TaskRef, ...] = ()

    def walk(self, refs: Refs) -> None:
        """Collect what `refs` lead to."""
        self._guarded("tombstones", lambda: self._add_tombstones(refs))
        self._guarded("history", lambda: self._add_history(refs))
        self._guarded("forks", lambda: self._add_forks(refs))
        for alias, version in refs.aliases.items():
            # Only behind a broken history can an alias lead to a version not reached yet.
            if version not in self.published:
                self._add_version(version, f"alias {alias}", self._manifest(version))

    def _add_tombstones(self, refs: Refs) -> None:
        if refs.tombstones:
            self._add(Kind.TOMBSTONES, refs.tombstones, "refs")
        stones = self.reader.tombstones(refs)
        self._buried = purged_versions(stones)
        for tombstone in stones:
            self._purged.update(tombstone.records)

    def _add_history(self, refs: Refs) -> None:
        if refs.history:
            self._add(Kind.HISTORY, refs.history, "refs")
        published: list[tuple[VersionRef, str]] = []
        here = refs.history
        try:
            for entry in past_entries(self.reader.objects, refs.history):
                self._check_off(Kind.HISTORY, here)
                here = entry.previous.stored if entry.previous else None
                if entry.previous:
                    self._add(Kind.HISTORY, entry.previous.stored, f"history entry {entry.index}")
                if entry.published:
                    published.append((entry.published, f"history entry {entry.index}"))
        except (CorruptionError, MissingError):
            self._add_versions(published)  # what those lead to that could be read
            raise
        self._add_versions(published)

    def _add_versions(self, published: Sequence[tuple[VersionRef, str]]) -> None:
        """Add versions, whose manifests are read side by side."""
        self.published.update(version for version, _ in published)
        manifests = side_by_side(
            self.reader.objects, self._manifest, [version for version, _ in published]
        )
        for (version, used_by), manifest in zip(published, manifests, strict=True):
            self._add_version(version, used_by, manifest)

    def _manifest(self, version: VersionRef) -> Manifest | CorruptionError | MissingError:
        try:
            return self.reader.objects.manifest(version.manifest)
        except (CorruptionError, MissingError) as error:
            return error

    def _check_off(self, kind: Kind, stored: Stored | None) -> None:
        """Note that a document was read, and its bytes were right."""
        if stored is not None:
            self.checked.add(object_key(self.reader.name, kind, stored))

    def _add_forks(self, refs: Refs) -> None:
        """Keep what can be published again."""
        for fork in refs.forks:
            self._add(Kind.HISTORY, fork.history, f"fork {fork.write_id}")
            if fork.published is not None:
                self._add_version(
                    fork.published, f"fork {fork.write_id}", self._manifest(fork.published)
                )

    def _add_version(
        self,
        version: VersionRef,
        used_by: str,
        manifest: Manifest | CorruptionError | MissingError,
    ) -> None:
        self._add(Kind.MANIFEST, version.manifest, used_by)
        key = accuracies_key(self.reader.name, version.manifest)
        self._add_measured(key, version, accuracies_from_bytes)
        if version.number not in self._buried:
            key = answers_key(self.reader.name, version.manifest)
            self._add_measured(key, version, sheet_from_bytes)
        if isinstance(manifest, Manifest):
            self._check_off(Kind.MANIFEST, version.manifest)
            self._add_records(manifest)
        else:
            self._tell(f"version {version.number}", manifest)

    def _add_measured(self, key: str, version: VersionRef, reads: Reads) -> None:
        used_by = f"version {version.number}"
        self.objects[key] = Reached(key=key, stored=None, used_by=used_by, reads=reads)

    def _add_records(self, manifest: Manifest) -> None:
        used_by = f"version {manifest.number}"
        if manifest.shared and manifest.shared not in self._purged:
            self._add(Kind.RECORD, manifest.shared, used_by, shared_by=manifest)
        if manifest.tasks == self._tasks[: len(manifest.tasks)]:
            return  # of the version behind it, which was here before
        self._tasks = manifest.tasks
        for task in manifest.tasks:
            if task.record not in self._purged:
                named = f"{used_by}, task {task.task}"
                self._add(Kind.RECORD, task.record, named, task=task.task)

    def _add(
        self,
        kind: Kind,
        stored: Stored,
        used_by: str,
        *,
        task: str = "",
        shared_by: Manifest | None = None,
    ) -> None:
        """Note that `used_by` leads to an object; the first mention stays."""
        if (kind, stored) in self._noted:  # by many versions: none of them costs a key
            return
        self._noted.add((kind, stored))
        key = object_key(self.reader.name, kind, stored)
        reached = Reached(key=key, stored=stored, used_by=used_by, task=task, shared_by=shared_by)
        self.objects.setdefault(key, reached)

    def _guarded(self, used_by: str, visit: Callable[[], None]) -> None:
        try:
            visit()
        except (CorruptionError, MissingError) as error:
            self._tell(used_by, error)

    def _tell(self, used_by: str, error: CorruptionError | MissingError) -> None:
        if self.on_broken is None:
            raise error
        self.on_broken(used_by, error)


def published_versions(reader: AdapterReader, refs: Refs) -> Iterator[Manifest]:
    """Yield the manifests of all versions that were ever published, the latest first."""
    entries = past_entries(reader.objects, refs.history)
    published = (entry.published for entry in entries if entry.published is not None)
    yield from past_manifests(reader.objects, published)


def reachable(reader: AdapterReader, refs: Refs, *, on_broken: OnBroken | None = None) -> Reach:
    """Return everything that `refs` lead to.

    Raises:
        CorruptionError: A document on the way is damaged, and there is no `on_broken`.
    """
    reach = Reach(reader=reader, on_broken=on_broken)
    reach.walk(refs)
    return reach
