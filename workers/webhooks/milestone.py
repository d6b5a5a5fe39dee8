"""Milestone: what has happened to a submission or an adapter, as webhooks tell it.

Each is derived from what is durable already: one of a submission stands on the page of its ticket,
written with it; any other is an entry of an adapter's history.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from pydantic import FiniteFloat

from workers.formats.documents import Count
from workers.registry.documents.history import EntryRef
from workers.registry.documents.layout import StoredJson, stored_of

LONGEST_REASON = 2000
"""Characters of a reason; the journal has all of it."""


class Kind(StrEnum):
    """What has happened."""

    ACCEPTED = "submission.accepted"  # it is durable and waits for its turn
    PUBLISHED = "submission.published"  # it is part of a version that the next task builds on
    REJECTED = "submission.rejected"  # the gate has refused its version
    FAILED = "submission.failed"  # for good
    CANCELLED = "submission.cancelled"  # somebody took it back
    MOVED = "alias.moved"  # somebody promoted a version, or set or removed an alias
    ROLLED_BACK = "adapter.rolled_back"  # an earlier version is served again
    IMPORTED = "version.imported"  # a version came from a file
    DROPPED = "task.dropped"  # a version without a task was published
    PURGED = "task.purged"  # the bytes of a task are gone for good
    FORKED = "adapter.forked"  # the store has lost acknowledged changes
    REFUSED = "version.refused"  # a replica could not load what `production` points to
    TEST = "webhook.test"  # nothing has happened: somebody tries a webhook


Move = tuple[Count | None, Count | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Milestone:
    """One of them.

    Attributes:
        id: The same however often it is derived or told.
        kind: One of `Kind`.
        adapter: Whose; empty for a test.
        at: When, in seconds since the epoch.
        who: Who did it; empty where nobody is known.
        why: The reason that was given.
        submission: The submission, where it is about one.
        task: The task, or several with commas between.
        version: The version, where it is about one.
        round: How often somebody has asked for the submission; 0 where it is about none.
        reason: Why it failed, was rejected or refused.
        moves: Version numbers before and after, by alias.
        order: Of one of a submission: the epoch of the lead, and which one it was under that.
        entry: Of any other: the entry of the history.
    """

    id: str
    kind: str
    adapter: str
    at: FiniteFloat
    who: str = ""
    why: str = ""
    submission: str = ""
    task: str = ""
    version: Count | None = None
    round: Count = 0
    reason: str = ""
    moves: Mapping[str, Move] = field(default_factory=dict)
    order: tuple[Count, Count] | None = None
    entry: tuple[Count, StoredJson] | None = None

    @property
    def entry_ref(self) -> EntryRef | None:
        """The entry of the history; None for one of a submission."""
        if self.entry is None:
            return None
        index, stored = self.entry
        return EntryRef(index=index, stored=stored_of(stored))


_FIELDS = fields(Milestone)
_ALWAYS = ("id", "kind", "adapter", "at")


def milestone_to_json(milestone: Milestone) -> dict[str, Any]:
    """Return a milestone as JSON values; what is empty is left out."""
    values = {entry.name: getattr(milestone, entry.name) for entry in _FIELDS}
    return {
        name: value
        for name, value in values.items()
        if name in _ALWAYS or value not in (None, "", 0, {})
    } | ({"version": 0} if milestone.version == 0 else {})


def id_of(*parts: str | int) -> str:
    """Return what names a milestone, given what no other one has."""
    digest = hashlib.sha256(" ".join(map(str, parts)).encode("utf-8", "surrogatepass"))
    return f"evt_{digest.hexdigest()[:32]}"
