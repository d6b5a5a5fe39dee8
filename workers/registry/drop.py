"""Dropping a task from an adapter: a version of `head` without it.

Later tasks were trained in the presence of a dropped task: their records do not contain its
images or classes, but would have been slightly different without it.
"""

from workers.registry.adapter import RegisteredAdapter
from workers.registry.commit import Commit, DropTask
from workers.registry.documents.history import Action, Author
from workers.registry.documents.layout import HEAD, PRODUCTION
from workers.registry.documents.manifest import Manifest


def drop(adapter: RegisteredAdapter, task: str, *, by: Author, promoted: bool = False) -> Manifest:
    """Publish a version of `head` without `task`; `promoted` moves `production` to it as well.

    The record stays in the older versions, which can still be served.

    Raises:
        NotFoundError: `head` has no such task.
    """
    aliases = (HEAD, PRODUCTION) if promoted else (HEAD,)
    commit = Commit(updates=(DropTask(task=task),), aliases=aliases, action=Action.DROP)
    return adapter.commit(commit, by=by)
