"""Milestones of an adapter: what its history has gained since it was looked at last."""

from collections.abc import Collection, Iterator
from itertools import takewhile

from adapters.errors import CorruptionError, MissingError
from workers.registry import GATE_NOTE, Entry, RegisteredAdapter
from workers.registry.acknowledged import part
from workers.registry.documents.history import Action, EntryRef
from workers.registry.documents.layout import Stored
from workers.registry.past import past_entries
from workers.webhooks.milestone import LONGEST_REASON, Kind, Milestone, id_of

_KINDS = {
    Action.COMMIT: Kind.PUBLISHED,
    Action.DROP: Kind.DROPPED,
    Action.IMPORT: Kind.IMPORTED,
    Action.PROMOTE: Kind.MOVED,
    Action.ROLLBACK: Kind.ROLLED_BACK,
    Action.ALIAS: Kind.MOVED,
    Action.PURGE: Kind.PURGED,
    Action.REFUSE: Kind.REFUSED,
}


def forks_since(
    adapter: RegisteredAdapter, told: Collection[str], *, now: float
) -> tuple[list[Milestone], tuple[str, ...]]:
    """Return the forks of an adapter that were not told, and the write ids of all that there are.

    Args:
        adapter: The adapter.
        told: The write ids of those that were told.
        now: Seconds since the epoch.
    """
    forks = adapter.refs().forks
    fresh = [
        Milestone(
            id=id_of(adapter.name, "fork", fork.write_id),
            kind=Kind.FORKED,
            adapter=adapter.name,
            at=now,
            version=fork.published.number if fork.published else None,
            reason=f"the store has lost an acknowledged change: {fork}; nothing more is published "
            f"until somebody has settled it (`nacre settle --adapter {adapter.name}`)",
        )
        for fork in forks
        if fork.write_id not in told
    ]
    return fresh, tuple(fork.write_id for fork in forks)


def milestones_since(adapter: RegisteredAdapter, known: EntryRef | None) -> list[Milestone]:
    """Return what has happened to an adapter after an entry of its history, oldest first.

    Where the store has lost entries, `known` among them, those that stand in their place are told.

    Args:
        adapter: The adapter.
        known: The latest entry that was told; None for none.
    """
    latest = adapter.refs().history
    if latest is None or (known is not None and known.stored == latest):
        return []
    begins = _first_unknown(adapter, latest, known)
    entries = list(
        takewhile(lambda entry: entry.index >= begins, past_entries(adapter.objects, latest))
    )
    return list(reversed(list(_told(adapter, latest, entries))))


def _first_unknown(adapter: RegisteredAdapter, latest: Stored, known: EntryRef | None) -> int:
    if known is None:
        return 0
    try:
        lost = part(adapter.objects, latest, known.stored).lost
        return adapter.objects.entry(lost[0]).index if lost else known.index + 1
    except MissingError:  # the entry itself is lost; its milestone keeps its id if it is told again
        return known.index


def _told(adapter: RegisteredAdapter, latest: Stored, entries: list[Entry]) -> Iterator[Milestone]:
    stored = latest
    for entry in entries:
        if entry.action in _KINDS:
            yield _milestone(adapter, entry, stored)
        if entry.previous is not None:
            stored = entry.previous.stored


def _milestone(adapter: RegisteredAdapter, entry: Entry, stored: Stored) -> Milestone:
    kind, detail = _KINDS[entry.action], entry.detail
    if kind is Kind.PUBLISHED and not entry.moves:
        kind = Kind.REJECTED
    reasons = {
        Kind.REJECTED: lambda: _gate_note(adapter, entry),
        Kind.REFUSED: lambda: entry.author.why,
    }
    tasks = (detail.get(name) for name in ("added", "dropped", "task"))
    return Milestone(
        id=id_of(adapter.name, entry.index, entry.write_id),
        kind=kind,
        adapter=adapter.name,
        at=entry.author.now,
        who=entry.author.who,
        why="" if kind is Kind.REFUSED else entry.author.why,
        submission=detail.get("submission", ""),
        task=next(filter(None, tasks), ""),
        version=_version(entry),
        reason=reasons.get(kind, str)()[:LONGEST_REASON],
        moves=dict(entry.moves),
        entry=(entry.index, (stored.sha256, stored.size, stored.area)),
    )


def _version(entry: Entry) -> int | None:
    """Return the version that a move has published, moved to, or is about."""
    if entry.published is not None:
        return entry.published.number
    if entry.action is Action.REFUSE:
        return int(entry.detail["version"])
    targets = {after for _, after in entry.moves.values()}
    return targets.pop() if len(targets) == 1 else None


def _gate_note(adapter: RegisteredAdapter, entry: Entry) -> str:
    try:
        assert entry.published is not None
        manifest = adapter.objects.manifest(entry.published.manifest)
        return manifest.provenance.notes.get(GATE_NOTE, "")
    except (CorruptionError, MissingError):
        return ""
