"""Settling forks: what a store has lost of acknowledged changes is published again, or let go.

Whoever made a lost change notes it in the refs (`workers.registry.documents.forks`). Where nobody
of these is left, the queue's tickets still say what was published, and what they name lies under
its digest.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from adapters.errors import InputError
from workers.concurrency.threads import SYSTEM_THREADS
from workers.queue.ledger import read_outcome, read_pages
from workers.queue.ticket import Stage
from workers.registry.adapter import RegisteredAdapter
from workers.registry.commit import AddRecord, Commit
from workers.registry.documents.change import Change, Move, Settled
from workers.registry.documents.forks import Fork
from workers.registry.documents.history import SETTLES, Action, Author, Entry
from workers.registry.documents.layout import HEAD, Kind, Stored, adapter_prefix, area_of
from workers.registry.documents.manifest import Manifest, TaskRef, VersionRef
from workers.registry.documents.purged import purged_ids
from workers.registry.documents.refs import Refs
from workers.registry.objects import StoredPayload
from workers.registry.reach import reachable
from workers.registry.reader import AdapterReader
from workers.store.base import ObjectStore
from workers.tasks.submission import submission_ids

THREADS = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Settlement:
    """What became of one lost change.

    Attributes:
        lost: What was lost, for people.
        version: The version that has its tasks again; None where there was none to publish.
        note: What is left to do; empty for nothing.
    """

    lost: str
    version: int | None = None
    note: str = ""


def lost_publications(store: ObjectStore, adapter: AdapterReader) -> dict[str, int]:
    """Return the submissions that were told to be published and that the history does not know.

    Returns:
        The version that each was told to be, by its id.
    """
    known = {
        entry.detail.get("submission") for entry in adapter.history() if entry.published is not None
    }
    # A page has the tickets of many, and is read once; what left its page has an outcome.
    on_page = {ticket.submission_id: ticket for ticket in read_pages(store)}
    unknown = [name for name in submission_ids(store) if name not in known]
    told = SYSTEM_THREADS.map(
        lambda name: on_page.get(name) or read_outcome(store, name), unknown, most=THREADS
    )
    return {
        ticket.submission_id: ticket.version
        for ticket in told
        if ticket is not None
        and ticket.adapter == adapter.name
        and ticket.stage is Stage.PUBLISHED
        and ticket.version is not None
    }


def settle(
    adapter: RegisteredAdapter, *, by: Author, lost: Collection[str] = ()
) -> tuple[Settlement, ...]:
    """Publish again what lost changes had published, let go of the rest, and go on.

    Each lost change is settled by one write, so that this can be broken off and called again.

    Args:
        adapter: The adapter.
        by: Who has looked at the store, what was found, and when.
        lost: Submissions whose publication was lost, as `lost_publications` returns them.

    Raises:
        InputError: `by` gives no reason.
        MissingError: a lost record is not to be found; nothing more is settled.
    """
    if not by.why.strip():
        raise InputError(
            "expected a reason: what was wrong with the store, and why it is not any more"
        )
    forks = _with_found(adapter, adapter.writer.settle().forks, lost)
    found = {_submission(adapter, fork) for fork in forks}
    gone = [
        Settlement(lost=name, note="what it had published is gone for good: submit it again")
        for name in lost
        if name not in found
    ]
    return (*(_settled(adapter, fork, by) for fork in forks), *gone)


def _submission(adapter: RegisteredAdapter, fork: Fork) -> str | None:
    return adapter.objects.entry(fork.history).detail.get("submission")


def _with_found(
    adapter: RegisteredAdapter, noted: tuple[Fork, ...], lost: Collection[str]
) -> tuple[Fork, ...]:
    """Return the forks that are `noted`, and one for each other lost submission that is found."""
    refs, key = adapter.refs(), f"/{Kind.HISTORY.value}/"
    reached = reachable(adapter, refs).objects
    found = {fork.write_id: fork for fork in noted}
    for listed in adapter.objects.store.list(adapter_prefix(adapter.name)):
        area = area_of(adapter.name, listed.key)
        if not lost or area is None or key not in listed.key or listed.key in reached:
            continue
        stored = Stored(sha256=listed.key.rsplit("/", 1)[1], size=listed.size_bytes, area=area)
        entry = adapter.objects.entry(stored)
        if entry.published is not None and entry.detail.get("submission") in lost:
            fork = Fork(
                write_id=entry.write_id,
                action=entry.action.value,
                history=stored,
                published=entry.published,
            )
            found.setdefault(fork.write_id, fork)
    return tuple(found.values())


def _settled(adapter: RegisteredAdapter, fork: Fork, by: Author) -> Settlement:
    if fork.published is None or fork.action != Action.COMMIT.value:
        return _let_go(adapter, fork, by, note=f"do it again where it is still wanted: {fork}")
    moves = adapter.objects.entry(fork.history).moves
    if moves and HEAD not in moves:
        note = "it was of a branch: `nacre relearn` learns again what is missing there"
        return _let_go(adapter, fork, by, note=note)
    lost = adapter.objects.manifest(fork.published.manifest)
    missing = _missing(adapter, lost)
    if not missing:
        return _let_go(adapter, fork, by)
    if lost.shared is not None:
        names = ", ".join(task.submission for task in missing)
        note = f"its tasks share state, so they must be learnt again: submit {names} anew"
        return _let_go(adapter, fork, by, note=note)
    return _published_again(adapter, fork, fork.published, missing, by)


def _missing(adapter: RegisteredAdapter, lost: Manifest) -> list[TaskRef]:
    """Return the tasks that the lost version had added, that `head` has not and nobody purged."""
    refs = adapter.refs()
    head = refs.find(HEAD)
    purged = purged_ids(adapter.tombstones(refs))
    there = [ref.manifest for ref in (lost.parent, head) if ref is not None]
    kept = [adapter.objects.manifest(stored) for stored in there]
    return [
        task
        for task in lost.tasks
        if task.submission not in purged
        and not any(manifest.has_submission(task.submission) for manifest in kept)
    ]


def _published_again(
    adapter: RegisteredAdapter,
    fork: Fork,
    version: VersionRef,
    missing: list[TaskRef],
    by: Author,
) -> Settlement:
    lost, moves = adapter.objects.manifest(version.manifest), adapter.objects.entry(fork.history)
    commit = Commit(
        updates=tuple(
            AddRecord(
                task=task.task,
                submission=task.submission,
                record=StoredPayload(adapter.objects, task.record),
                classes=task.classes,
            )
            for task in missing
        ),
        encoder=lost.encoder,
        method=lost.method,
        settings=lost.settings,
        provenance=lost.provenance,
        accuracies=adapter.accuracies_of(version),
        aliases=_aliases_to_move(adapter.refs(), moves),
        settles=fork.write_id,
    )
    return Settlement(lost=str(fork), version=adapter.commit(commit, by=by).number)


def _aliases_to_move(refs: Refs, lost: Entry) -> tuple[str, ...]:
    """Return the aliases that the lost change had moved, but those that somebody moved since."""
    return tuple(
        alias
        for alias, (before, _) in lost.moves.items()
        if alias == HEAD or _number(refs, alias) == before
    )


def _number(refs: Refs, alias: str) -> int | None:
    found = refs.find(alias)
    return found.number if found else None


def _let_go(adapter: RegisteredAdapter, fork: Fork, by: Author, *, note: str = "") -> Settlement:
    def decide(refs: Refs) -> Change[None] | Settled[None]:
        others = tuple(each for each in refs.forks if each.write_id != fork.write_id)
        if others == refs.forks:
            return Settled(result=None)
        move = Move(
            action=Action.SETTLE, author=by, detail={"lost": str(fork), SETTLES: fork.write_id}
        )
        return Change(refs=replace(refs, forks=others), move=move, result=None)

    adapter.writer.change(decide)
    return Settlement(lost=str(fork), note=note)
