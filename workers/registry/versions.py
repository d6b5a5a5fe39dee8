"""Published versions as people look at them: manifest, aliases, accuracies, purged tasks."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from adapters.contract.counts import first, whole_number
from adapters.errors import NotFoundError
from workers.registry.documents.accuracy import TaskAccuracy
from workers.registry.documents.history import find_before
from workers.registry.documents.manifest import Manifest, VersionRef
from workers.registry.documents.purged import Tombstone, purged_versions
from workers.registry.documents.refs import Refs
from workers.registry.past import past_entries, side_by_side
from workers.registry.reader import AdapterReader


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """One version as people look at it.

    Attributes:
        manifest: What it holds.
        digest: SHA-256 of the manifest.
        aliases: The aliases that pointed to it when it was read.
        accuracies: What was measured of it.
        purged: Tasks that were purged of it: their records are gone for good, or the state that its
            tasks share, which had learnt from them.
    """

    manifest: Manifest
    digest: str
    aliases: tuple[str, ...]
    accuracies: tuple[TaskAccuracy, ...]
    purged: tuple[str, ...] = ()

    @property
    def mean_accuracy(self) -> float | None:
        """The mean over the tasks that were measured; None where none was."""
        measured = [entry.accuracy for entry in self.accuracies]
        return sum(measured) / len(measured) if measured else None

    @property
    def not_measured(self) -> tuple[str, ...]:
        """Its tasks of which there is no accuracy."""
        measured = {entry.task for entry in self.accuracies}
        return tuple(task.task for task in self.manifest.tasks if task.task not in measured)


def read_versions(
    reader: AdapterReader, *, limit: int = 0, before: int | None = None
) -> list[Version]:
    """Return the versions that were ever published, newest first, as of one instant.

    Args:
        reader: Of the adapter.
        limit: Most versions; all where 0.
        before: Only versions before the one of this number; all where None. A page costs its own
            versions, and O(log versions) small reads to find it.

    Raises:
        NotFoundError: There is no such adapter.
        InputError: `limit` or `before` is no number from 0 on.
    """
    before = None if before is None else whole_number("before", before)
    whole_number("limit", limit)
    refs = reader.refs()
    stones = reader.tombstones(refs)
    read = partial(_version, reader, refs, stones)
    published = first(_published(reader, refs, before), limit)
    return list(side_by_side(reader.objects, read, published))


def _published(reader: AdapterReader, refs: Refs, before: int | None) -> Iterator[VersionRef]:
    latest = refs.history
    if before is not None and before < refs.next_version:
        latest = find_before(latest, before, reader.objects.entry)
    for entry in past_entries(reader.objects, latest):
        if entry.published is not None:
            yield entry.published


def read_version(reader: AdapterReader, version: int | str) -> Version:
    """Return a version given by alias or number.

    Raises:
        NotFoundError: There is no such adapter, alias or version.
    """
    refs = reader.refs()
    return _version(reader, refs, reader.tombstones(refs), reader.version_in(refs, version))


def newest_servable(reader: AdapterReader, refs: Refs, *, after: int = 0) -> int:
    """Return the number of the newest version that `production` may point to; `after` for none.

    Passed over are versions that a purge has taken something of, and those that hold no task.

    Args:
        reader: Of the adapter.
        refs: As of these.
        after: Only versions of higher numbers are looked at.
    """
    buried = purged_versions(reader.tombstones(refs))
    for number in range(refs.next_version - 1, after, -1):
        if number in buried:
            continue
        with suppress(NotFoundError):  # what the store has lost
            if reader.objects.manifest(reader.version_in(refs, number).manifest).tasks:
                return number
    return after


def _version(
    reader: AdapterReader, refs: Refs, stones: Collection[Tombstone], ref: VersionRef
) -> Version:
    return Version(
        manifest=reader.objects.manifest(ref.manifest),
        digest=ref.manifest.sha256,
        aliases=tuple(sorted(name for name, to in refs.aliases.items() if to.number == ref.number)),
        accuracies=reader.accuracies_of(ref),
        purged=tuple(dict.fromkeys(s.task for s in stones if ref.number in s.versions)),
    )
