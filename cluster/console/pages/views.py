"""The table of views: the path of each page, what shows it, and what is done on it."""

from cluster.console.pages import (
    access,
    data,
    health,
    history,
    new_task,
    overview,
    playground,
    queue,
    search,
    submission,
    version,
    versions,
)
from cluster.console.shown.look import View

ADAPTER = "/adapters/{adapter}"
VIEWS = (
    View(path="", show=overview.overview),
    View(path="/queue", show=queue.queue, act=queue.change),
    View(path="/submissions/{submission}", show=submission.submission, act=submission.change),
    View(path=f"{ADAPTER}/versions", show=versions.versions),
    View(path=f"{ADAPTER}/versions/{{version}}", show=version.version, is_live=False),
    View(
        path=f"{ADAPTER}/rollback/{{version}}",
        show=versions.rollback,
        act=versions.roll_back,
        is_live=False,
    ),
    View(
        path=f"{ADAPTER}/promote/{{version}}",
        show=versions.promotion,
        act=versions.promote,
        is_live=False,
    ),
    View(path="/history", show=history.history),
    View(path=f"{ADAPTER}/matrix", show=version.matrix),
    View(path=f"{ADAPTER}/compare", show=version.compare),
    View(
        path="/playground",
        show=playground.playground,
        act=playground.ask,
        most_files=playground.MOST_IMAGES,
        is_live=False,
    ),
    View(
        path="/tasks/new",
        show=new_task.new_task,
        act=new_task.submit,
        most_files=1,
        is_live=False,
        timeout_s=3600.0,
    ),
    View(path="/data", show=data.data),
    View(
        path=f"{ADAPTER}/tasks/{{task}}/remove",
        show=data.removal,
        act=data.remove,
        is_live=False,
    ),
    View(path="/health", show=health.health, act=health.check, is_live=False, timeout_s=600.0),
    View(path="/access", show=access.access, act=access.change, is_live=False),
    View(path="/search", show=search.search, is_live=False),
)
