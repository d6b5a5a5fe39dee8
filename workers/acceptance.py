"""Accepting a task: what is to be known of its adapter, the intake, and the word to the queue.

A submission is acknowledged when it is durable and the queue has been asked to learn it.
"""

import time

from workers import inbox
from workers.intake import Intake, Progress, take_in, unwatched
from workers.progress import known_ticket, ticket_of
from workers.queue_events import Accepted
from workers.store.base import ObjectStore
from workers.task import Task


def accept(
    task: Task,
    store: ObjectStore,
    *,
    author: str,
    now: float | None = None,
    on_progress: Progress = unwatched,
) -> Intake:
    """Check a task, make it durable, ask the queue to learn it, and return its submission.

    The same content, settings and adapter give the same submission, while that is open or its task
    is in `head`; afterwards they give a new one.

    Args:
        task: What is to be learnt.
        store: Where everything is kept.
        author: Who submits.
        now: Seconds since the epoch; the present where None.
        on_progress: Called with images done and images in all.

    Raises:
        InputError: the task cannot be learnt as it is; nothing is stored.
    """
    at = time.time() if now is None else now
    intake = take_in(task, store, now=at, author=author, on_progress=on_progress)
    if known_ticket(store, intake.submission.submission_id) is None:
        inbox.ask(store, Accepted(ticket=ticket_of(intake.submission)), who=author)
    return intake
