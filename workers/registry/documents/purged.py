"""Tombstones: blobs that were removed for good, and versions that can no longer be served."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import FiniteFloat

from workers.formats.documents import Count, encode, validated
from workers.registry.documents.history import Author
from workers.registry.documents.layout import Stored, StoredJson, stored_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Tombstone:
    """One task that was purged.

    Attributes:
        task: The task's name.
        submissions: The submissions it was learnt from.
        records: Its records, and the shared states that had learnt from it; their bytes are
            removed.
        versions: The versions that held one of them.
        author: Who removed it, why and when.
        towers: Fingerprints of the towers that these states had made; none in tombstones of early
            releases. What such a tower has made of images is removed, too: once the states are
            gone, nobody could tell it any more.
    """

    task: str
    submissions: tuple[str, ...]
    records: tuple[Stored, ...]
    versions: tuple[int, ...]
    author: Author
    towers: tuple[str, ...] = ()


def purged_versions(tombstones: Iterable[Tombstone]) -> set[int]:
    """Return the numbers of the versions that cannot be served any more."""
    return {number for stone in tombstones for number in stone.versions}


def purged_ids(tombstones: Iterable[Tombstone]) -> set[str]:
    """Return the ids of the submissions of all tasks that were purged."""
    return {name for stone in tombstones for name in stone.submissions}


def towers_of(task: str, tombstones: Iterable[Tombstone]) -> set[str]:
    """Return the fingerprints of all towers that have learnt from a task that was purged."""
    return {tower for stone in tombstones if stone.task == task for tower in stone.towers}


def tombstones_to_bytes(tombstones: tuple[Tombstone, ...]) -> bytes:
    """Return the canonical document."""
    return encode({"purged": [_to_json(tombstone) for tombstone in tombstones]})


def tombstones_from_bytes(data: bytes, what: str) -> tuple[Tombstone, ...]:
    """Return the tombstones in `data`; CorruptionError naming `what` when there are none."""
    return tuple(map(_tombstone_of, validated(_StoredTombstones, data, what).purged))


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredAuthor:
    who: str
    why: str
    now: FiniteFloat


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredTombstone:
    task: str
    submissions: tuple[str, ...]
    records: tuple[StoredJson, ...]
    versions: tuple[Count, ...]
    author: _StoredAuthor
    towers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredTombstones:
    purged: tuple[_StoredTombstone, ...]


def _to_json(tombstone: Tombstone) -> dict[str, Any]:
    return {
        "task": tombstone.task,
        "submissions": list(tombstone.submissions),
        "records": [record.to_json() for record in tombstone.records],
        "versions": list(tombstone.versions),
        "author": asdict(tombstone.author),
        **({"towers": list(tombstone.towers)} if tombstone.towers else {}),
    }


def _tombstone_of(stored: _StoredTombstone) -> Tombstone:
    author = stored.author
    return Tombstone(
        task=stored.task,
        submissions=stored.submissions,
        records=tuple(map(stored_of, stored.records)),
        versions=stored.versions,
        author=Author(who=author.who, why=author.why, now=author.now),
        towers=stored.towers,
    )
