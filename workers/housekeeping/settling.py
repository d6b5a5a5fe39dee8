"""Settling forks: what a store has lost of acknowledged changes is published again, or let go."""

from dataclasses import dataclass, replace

from adapters.errors import InputError
from workers.registry.adapter import RegisteredAdapter
from workers.registry.commit import AddRecord, Commit
from workers.registry.forks import Fork
from workers.registry.history import Action, Author
from workers.registry.layout import Kind, Stored
from workers.registry.manifest import Manifest, TaskRef, VersionRef
from workers.registry.objects import AdapterObjects
from workers.registry.refs import Refs
from workers.registry.swap import Change, Move, Settled
from workers.store.blobs import BlobRef


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


@dataclass(frozen=True, slots=True)
class _Kept:
    """A payload that lies in the store already."""

    objects: AdapterObjects
    stored: Stored

    @property
    def ref(self) -> BlobRef:
        """Digest and size of the bytes."""
        return self.stored.ref

    def read(self) -> bytes:
        """Return the bytes."""
        return self.objects.read(Kind.RECORD, self.stored)


def settle(adapter: RegisteredAdapter, *, by: Author) -> tuple[Settlement, ...]:
    """Publish again what lost changes had published, let go of the rest, and go on.

    Each lost change is settled by one write, so that this can be broken off and called again.

    Args:
        adapter: The adapter.
        by: Who has looked at the store, what was found, and when.

    Raises:
        InputError: `by` gives no reason.
        MissingError: a lost record is not to be found; nothing more is settled.
    """
    if not by.why.strip():
        raise InputError(
            "expected a reason: what was wrong with the store, and why it is not any more"
        )
    forks = adapter.writer.settle().forks
    return tuple(_settled(adapter, fork, by) for fork in forks)


def _settled(adapter: RegisteredAdapter, fork: Fork, by: Author) -> Settlement:
    if fork.published is None:
        return _let_go(adapter, fork, by, note=f"do it again where it is still wanted: {fork}")
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
    """Return the tasks that the lost version had added and that `head` has not."""
    head = adapter.refs().find("head")
    there = [ref.manifest for ref in (lost.parent, head) if ref is not None]
    kept = [adapter.objects.manifest(stored) for stored in there]
    return [
        task
        for task in lost.tasks
        if not any(manifest.has_submission(task.submission) for manifest in kept)
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
                record=_Kept(adapter.objects, task.record),
                classes=task.classes,
            )
            for task in missing
        ),
        encoder=lost.encoder,
        method=lost.method,
        settings=lost.settings,
        provenance=lost.provenance,
        accuracies=adapter.accuracies_of(version),
        aliases=tuple(moves.moves),
        settles=fork.write_id,
    )
    return Settlement(lost=str(fork), version=adapter.commit(commit, by=by).number)


def _let_go(adapter: RegisteredAdapter, fork: Fork, by: Author, *, note: str = "") -> Settlement:
    def decide(refs: Refs) -> Change[None] | Settled[None]:
        others = tuple(each for each in refs.forks if each.write_id != fork.write_id)
        if others == refs.forks:
            return Settled(result=None)
        move = Move(action=Action.SETTLE, author=by, detail={"lost": str(fork)})
        return Change(refs=replace(refs, forks=others), move=move, result=None)

    adapter.writer.change(decide)
    return Settlement(lost=str(fork), note=note)
