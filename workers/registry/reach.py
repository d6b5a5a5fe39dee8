"""Reachability: everything that the refs of an adapter lead to, for garbage collection."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from adapters.errors import CorruptionError, MissingError
from workers.registry.documents.history import walk
from workers.registry.documents.layout import Kind, Stored, accuracies_key, object_key
from workers.registry.documents.manifest import Manifest, VersionRef
from workers.registry.documents.refs import Refs
from workers.registry.reader import AdapterReader

OnBroken = Callable[[str, CorruptionError | MissingError], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reached:
    """An object that something leads to.

    Attributes:
        key: Where it lies.
        stored: Its digest and size; None for accuracies, which carry their own digest.
        used_by: What leads to it, for people.
        task: Of which it is the record; empty for what is none.
        shared_by: The version whose shared state it is; None for what is none.
    """

    key: str
    stored: Stored | None
    used_by: str
    task: str = ""
    shared_by: Manifest | None = None


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
    """

    reader: AdapterReader
    on_broken: OnBroken | None = None
    objects: dict[str, Reached] = field(default_factory=dict)
    published: set[VersionRef] = field(default_factory=set)
    _purged: set[Stored] = field(default_factory=set)

    def walk(self, refs: Refs) -> None:
        """Collect what `refs` lead to."""
        self._guarded("tombstones", lambda: self._add_tombstones(refs))
        self._guarded("history", lambda: self._add_history(refs))
        self._guarded("forks", lambda: self._add_forks(refs))
        for alias, version in refs.aliases.items():
            # Only behind a broken history can an alias lead to a version not reached yet.
            if version not in self.published:
                self._add_version(version, f"alias {alias}")

    def _add_tombstones(self, refs: Refs) -> None:
        if refs.tombstones:
            self._add(Kind.TOMBSTONES, refs.tombstones, "refs")
        for tombstone in self.reader.tombstones(refs):
            self._purged.update(tombstone.records)

    def _add_history(self, refs: Refs) -> None:
        if refs.history:
            self._add(Kind.HISTORY, refs.history, "refs")
        for entry in walk(refs.history, self.reader.objects.entry):
            if entry.previous:
                self._add(Kind.HISTORY, entry.previous.stored, f"history entry {entry.index}")
            if entry.published:
                self.published.add(entry.published)
                self._add_version(entry.published, f"history entry {entry.index}")

    def _add_forks(self, refs: Refs) -> None:
        """Keep what can be published again."""
        for fork in refs.forks:
            self._add(Kind.HISTORY, fork.history, f"fork {fork.write_id}")
            if fork.published is not None:
                self._add_version(fork.published, f"fork {fork.write_id}")

    def _add_version(self, version: VersionRef, used_by: str) -> None:
        self._add(Kind.MANIFEST, version.manifest, used_by)
        key = accuracies_key(self.reader.name, version.manifest)
        self.objects[key] = Reached(key=key, stored=None, used_by=f"version {version.number}")
        self._guarded(
            f"version {version.number}",
            lambda: self._add_records(self.reader.objects.manifest(version.manifest)),
        )

    def _add_records(self, manifest: Manifest) -> None:
        used_by = f"version {manifest.number}"
        if manifest.shared and manifest.shared not in self._purged:
            self._add(Kind.RECORD, manifest.shared, used_by, shared_by=manifest)
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
        key = object_key(self.reader.name, kind, stored)
        reached = Reached(key=key, stored=stored, used_by=used_by, task=task, shared_by=shared_by)
        self.objects.setdefault(key, reached)

    def _guarded(self, used_by: str, visit: Callable[[], None]) -> None:
        try:
            visit()
        except (CorruptionError, MissingError) as error:
            if self.on_broken is None:
                raise
            self.on_broken(used_by, error)


def published_versions(reader: AdapterReader, refs: Refs) -> Iterator[Manifest]:
    """Yield the manifests of all versions that were ever published, the latest first."""
    for entry in walk(refs.history, reader.objects.entry):
        if entry.published is not None:
            yield reader.objects.manifest(entry.published.manifest)


def reachable(reader: AdapterReader, refs: Refs, *, on_broken: OnBroken | None = None) -> Reach:
    """Return everything that `refs` lead to.

    Raises:
        CorruptionError: A document on the way is damaged, and there is no `on_broken`.
    """
    reach = Reach(reader=reader, on_broken=on_broken)
    reach.walk(refs)
    return reach
