"""History, the audit log: one immutable entry per move, each naming its predecessor.

Besides its predecessor, an entry names one that lies much further back (`jump`). The lengths of
the jumps follow the skew-binary numbers, so any entry is found in O(log n) reads, and writing an
entry needs only the two before it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from pydantic import FiniteFloat

from adapters.contract.json_reading import is_text
from adapters.errors import InputError
from workers.formats.documents import SHOWN, Count, encode, validated
from workers.registry.documents.layout import Stored, StoredJson, stored_of
from workers.registry.documents.manifest import VersionJson, VersionRef, version_of

SETTLES = "settles"
"""Names, in the details of a move, the write id of the lost change that it settles."""


class Action(Enum):
    """What was done."""

    COMMIT = "commit"  # a new version with another task
    DROP = "drop"  # a new version without a task
    IMPORT = "import"  # a new version from a file
    PROMOTE = "promote"  # an alias moved on
    ROLLBACK = "rollback"  # head and production moved back
    ALIAS = "alias"  # an alias was set or removed
    PURGE = "purge"  # a task's bytes were removed from all versions
    SETTLE = "settle"  # acknowledged changes that a store had lost were looked at by somebody
    REFUSE = "refuse"  # a replica could not load what production points to; nothing moved


@dataclass(frozen=True, kw_only=True, slots=True)
class EntryRef:
    """Names an entry: how many came before it, and its object."""

    index: int
    stored: Stored


@dataclass(frozen=True, kw_only=True, slots=True)
class Author:
    """Who moves something, why, and when (seconds since 1970).

    Raises:
        InputError: an entry that says so could be read by nobody: who or why is no text.
    """

    who: str
    why: str
    now: float

    def __post_init__(self) -> None:
        for name, text in (("who", self.who), ("why", self.why)):
            given: object = text
            if not (isinstance(given, str) and is_text(given)):
                raise InputError(f"{name}: expected text for the history, found {given!a:.{SHOWN}}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One move of an adapter's aliases.

    Attributes:
        index: How many entries came before.
        action: What was done.
        author: Who did it, why, and when.
        moves: Version numbers before and after, by alias; None where there was no such alias.
        published: The version that this move published; None when it published none.
        next_version: The number of the next version, after this move.
        detail: More about the move, such as the submission or the task.
        write_id: Names this move; no two entries share one.
        previous: The entry before; None for the first.
        jump: An entry further back; None for the first.
    """

    index: int
    action: Action
    author: Author
    moves: Mapping[str, tuple[int | None, int | None]]
    published: VersionRef | None
    next_version: int
    write_id: str
    detail: Mapping[str, str] = field(default_factory=dict)
    previous: EntryRef | None = None
    jump: EntryRef | None = None

    def to_bytes(self) -> bytes:
        """Return the canonical document."""
        return encode(
            {
                "index": self.index,
                "action": self.action.value,
                "who": self.author.who,
                "why": self.author.why,
                "when": self.author.now,
                "moves": {alias: list(move) for alias, move in self.moves.items()},
                "published": self.published and self.published.to_json(),
                "next_version": self.next_version,
                "detail": dict(self.detail),
                "write_id": self.write_id,
                "previous": _link_to_json(self.previous),
                "jump": _link_to_json(self.jump),
            }
        )


ReadEntry = Callable[[Stored], Entry]


def entry_from_bytes(data: bytes, what: str) -> Entry:
    """Return the entry in `data`; CorruptionError naming `what` when there is none."""
    stored = validated(_StoredEntry, data, what)
    return Entry(
        index=stored.index,
        action=stored.action,
        author=Author(who=stored.who, why=stored.why, now=stored.when),
        moves=stored.moves,
        published=stored.published and version_of(stored.published),
        next_version=stored.next_version,
        detail=stored.detail,
        write_id=stored.write_id,
        previous=stored.previous and _link_of(stored.previous),
        jump=stored.jump and _link_of(stored.jump),
    )


_LinkJson = tuple[Count, StoredJson]


@dataclass(frozen=True, kw_only=True, slots=True)
class _StoredEntry:
    index: Count
    action: Action
    who: str
    why: str
    when: FiniteFloat
    moves: dict[str, tuple[Count | None, Count | None]]
    published: VersionJson | None
    next_version: Count
    detail: dict[str, str]
    write_id: str
    previous: _LinkJson | None
    jump: _LinkJson | None


def links(latest: Stored | None, read: ReadEntry) -> tuple[EntryRef | None, EntryRef | None]:
    """Return `previous` and `jump` of the entry that follows `latest`."""
    if latest is None:
        return None, None
    before = read(latest)
    previous = EntryRef(index=before.index, stored=latest)
    if before.jump is None:
        return previous, previous
    further = read(before.jump.stored)
    equal_jumps = further.jump is not None and (
        before.index - before.jump.index == further.index - further.jump.index
    )
    return previous, further.jump if equal_jumps else previous


def walk(latest: Stored | None, read: ReadEntry) -> Iterator[Entry]:
    """Yield all entries, the latest first."""
    while latest is not None:
        entry = read(latest)
        yield entry
        latest = entry.previous.stored if entry.previous else None


def find_version(latest: Stored | None, number: int, read: ReadEntry) -> VersionRef | None:
    """Return the version that was published as `number`, in O(log n) reads; None if none was."""
    while latest is not None:
        entry = read(latest)
        if entry.next_version <= number:
            return None
        if entry.published is not None and entry.published.number == number:
            return entry.published
        latest = _towards(entry, number, read)
    return None


def find_before(latest: Stored | None, number: int, read: ReadEntry) -> Stored | None:
    """Return the latest entry from before version `number` was published, in O(log n) reads."""
    while latest is not None:
        entry = read(latest)
        if entry.next_version <= number:
            return latest
        latest = _towards(entry, number, read)
    return None


def _towards(entry: Entry, number: int, read: ReadEntry) -> Stored | None:
    """Return the farthest known entry that is not older than the publication of `number`."""
    if entry.previous is None or entry.jump is None:
        return None
    if read(entry.jump.stored).next_version > number:
        return entry.jump.stored
    return entry.previous.stored


def _link_to_json(link: EntryRef | None) -> list[Any] | None:
    return [link.index, link.stored.to_json()] if link else None


def _link_of(value: _LinkJson) -> EntryRef:
    index, stored = value
    return EntryRef(index=index, stored=stored_of(stored))
