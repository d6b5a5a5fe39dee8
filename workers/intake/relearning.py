"""Relearning: tasks that a version has lost are submitted again, from what is stored of them.

Each becomes a further generation of its submission: the same images, classes, settings and seed, by
the same method. So whoever asks for it twice, or again after a crash, gets the same ones.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from adapters.errors import InputError
from workers.intake.identity import write
from workers.queue import inbox
from workers.queue.events import Accepted
from workers.queue.ledger import read_pages
from workers.queue.progress import known_ticket, ticket_of
from workers.queue.ticket import ENDED
from workers.registry import Manifest, RegisteredAdapter, TaskRef
from workers.store.base import ObjectStore, is_there
from workers.store.blobs import BlobRef, blob_key
from workers.tasks.submission import (
    SHARDS,
    Learning,
    Submission,
    content_of,
    existing_submission,
    find_submission,
    is_swept,
)


def check_relearnable(
    store: ObjectStore, tasks: Sequence[TaskRef], *, adapter: str, purged: Collection[str]
) -> None:
    """Raise InputError, naming each, where tasks of `adapter` cannot be learnt again.

    Args:
        store: The object store.
        tasks: The tasks.
        adapter: The adapter that has learnt them.
        purged: Ids of submissions whose images were purged.
    """
    hindered = [
        f"{task.task!r} ({task.submission}): {why}"
        for task in tasks
        if (why := hindrance(store, task, adapter, purged))
    ]
    if hindered:
        raise InputError(
            f"tasks cannot be learnt again from what is stored of them: {'; '.join(hindered)}; go "
            "on without `--relearn`, from the version before them (`nacre rollback`), and submit "
            "them yourself",
            adapter=adapter,
        )


def submit_again(
    adapter: RegisteredAdapter,
    tasks: Sequence[TaskRef],
    *,
    before: Manifest,
    author: str,
    now: float,
) -> tuple[str, ...]:
    """Ask the queue to learn `tasks` again, in this order, and return their submissions.

    They were there before whatever waits, and may be what that is to replace: they go first. Those
    whose names `head` has are left out, and what is on its way already is not submitted twice.

    Args:
        adapter: The adapter.
        tasks: Tasks of `before`; see `check_relearnable`.
        before: A version that holds them.
        author: Who asks for it.
        now: Seconds since the epoch.
    """
    present = _present(adapter)
    again = [
        stored_again(adapter, task, before, author=author, now=now)
        for task in tasks
        if task.task not in present
    ]
    store = adapter.objects.store
    # Of one priority they are learnt in the order in which the queue is asked.
    priority = _priority(store, again)
    return tuple(_submitted(store, each, priority, author) for each in again)


def is_open(store: ObjectStore, submission_id: str) -> bool:
    """Return whether a submission that is stored has not ended."""
    ticket = known_ticket(store, submission_id)
    return ticket is None or ticket.stage not in ENDED


def ask_for(store: ObjectStore, written: Submission, *, author: str) -> None:
    """Ask the queue to learn a submission, unless it knows it already."""
    if known_ticket(store, written.submission_id) is None:
        inbox.ask(store, Accepted(ticket=ticket_of(written)), who=author)


def _priority(store: ObjectStore, again: Sequence[Submission]) -> int:
    """Return the priority of what is learnt again: before all that waits for the adapter.

    Where some of it was submitted already, it is theirs.
    """
    names = {content_of(each.task, each.submission_id) for each in again}
    # The inbox first: what is taken note of meanwhile is on its page by then.
    waiting = [
        ticket
        for ticket in (*inbox.announced(store), *read_pages(store))
        if ticket.stage not in ENDED and ticket.adapter in {each.adapter for each in again}
    ]
    same = [t.priority for t in waiting if content_of(t.task, t.submission_id) in names]
    others = [ticket.priority + 1 for ticket in waiting]
    return max(same or [0, *(each.priority for each in again), *others])


def hindrance(
    store: ObjectStore, task: TaskRef, adapter: str, purged: Collection[str]
) -> str | None:
    """Return why a task cannot be learnt again; None where it can."""
    submission = find_submission(store, task.submission)
    if submission is None or submission.adapter != adapter:
        return "it was imported, so that its images are elsewhere"
    if task.submission in purged:
        return "its images were purged"
    if is_swept(store, task.submission):
        return "its images were removed some days after it had ended (`retention`)"
    missing = sum(1 for key in _shard_keys(submission) if not is_there(store, key))
    return f"{missing} of its shards of images are not in the store" if missing else None


def _shard_keys(submission: Submission) -> Iterator[str]:
    for shard in submission.shards:
        yield blob_key(BlobRef(sha256=shard.digest, size=shard.size), SHARDS)


def _present(adapter: RegisteredAdapter) -> set[str]:
    head = adapter.refs().find("head")
    return {task.task for task in adapter.objects.manifest(head.manifest).tasks} if head else set()


def stored_again(
    adapter: RegisteredAdapter, task: TaskRef, before: Manifest, *, author: str, now: float
) -> Submission:
    """Return a task's submission as it is submitted again, but for its id and generation."""
    stored = existing_submission(
        adapter.objects.store, task.submission, because=f"version {before.number} was learnt of it"
    )
    return replace(
        stored,
        learning=stored.learning or _learning(adapter, task, before),
        # What it took the place of is not there any more.
        replaces=None,
        branch=None,
        author=author,
        accepted_at=now,
    )


def _learning(adapter: RegisteredAdapter, task: TaskRef, before: Manifest) -> Learning:
    """Return by what a task was learnt whose submission does not say it."""
    number = adapter.first_with(before, task.submission)
    brought = before if number is None else adapter.manifest(number)
    return Learning(method=brought.method, settings=brought.settings)


def _submitted(store: ObjectStore, submission: Submission, priority: int, author: str) -> str:
    name, generation = submission.submission_id, submission.generation
    first = name.removesuffix(f"-{generation}") if generation > 1 else name

    written, _ = write(
        store,
        replace(submission, priority=priority),
        first,
        reusable=lambda submission_id: is_open(store, submission_id),
    )
    ask_for(store, written, author=author)
    return written.submission_id
