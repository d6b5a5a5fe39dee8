"""Submissions without images, for the tests of everything that looks at none."""

from workers.queue import inbox
from workers.queue.events import Accepted
from workers.queue.progress import ticket_of
from workers.store import ObjectStore
from workers.tasks.submission import Shard, Submission, SubmittedClass

TRAIN = Shard(
    digest="ab" * 32, size=10, split="train", labels=(0, 0, 1), image_digests=("1", "2", "3")
)
HELD_OUT = Shard(digest="cd" * 32, size=10, split="held_out", labels=(1,), image_digests=("4",))


def submission(
    task: str, *, adapter: str = "main", accepted_at: float = 1.0, priority: int = 0
) -> Submission:
    """Return the submission of `task`, whose images nobody has."""
    return Submission(
        submission_id=f"{task}-0123456789ab",
        task=task,
        adapter=adapter,
        classes=tuple(SubmittedClass(key=key, name=f"a {key}") for key in ("apple", "pear")),
        prompt="a photo of {}.",
        shards=(TRAIN, HELD_OUT),
        accepted_at=accepted_at,
        author="anna",
        priority=priority,
    )


def written(store: ObjectStore, entry: Submission) -> Submission:
    """Make a submission durable, and tell nobody."""
    store.put(entry.key, entry.to_bytes())
    return entry


def announced(store: ObjectStore, entry: Submission) -> Submission:
    """Make a submission durable, and ask the coordinator to learn it."""
    written(store, entry)
    inbox.ask(store, Accepted(ticket=ticket_of(entry)), who=entry.author)
    return entry
