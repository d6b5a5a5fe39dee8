"""Tasks that are being learnt again: `production` keeps them until all of them are there.

Who drops or purges a task that shares a state with later ones has these learnt again, one after
another. Versions in between lack tasks that `production` still answers for.
"""

from collections.abc import Collection

from workers.queue.inbox import announced
from workers.queue.ledger import read_pages
from workers.queue.ticket import ENDED
from workers.registry import Manifest
from workers.store.base import ObjectStore
from workers.tasks.submission import content_of


def awaited(store: ObjectStore, served: Manifest | None, present: Collection[str]) -> list[str]:
    """Return the tasks of what is served that a version lacks, and that are learnt again after it.

    Args:
        store: The object store.
        served: What `production` points to; None where it points to nothing.
        present: The names of the version's tasks.
    """
    lacking = [task for task in (served.tasks if served else ()) if task.task not in present]
    if served is None or not lacking:
        return []
    # The inbox first: what is taken note of meanwhile is on its page by then.
    tickets = [*announced(store), *read_pages(store)]
    coming = {
        content_of(ticket.task, ticket.submission_id)
        for ticket in tickets
        if ticket.adapter == served.adapter and ticket.stage not in ENDED
    }
    return [task.task for task in lacking if content_of(task.task, task.submission) in coming]
