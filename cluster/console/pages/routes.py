"""The table of pages: the path of each, what shows it, and what is done on it."""

from cluster.console.pages import (
    access,
    compare,
    data,
    errors,
    health,
    history,
    new_task,
    overview,
    playground,
    queue,
    search,
    serving,
    submission,
    version,
    versions,
)
from cluster.console.shown.look import PageRoute

ADAPTER = "/adapters/{adapter}"
PAGE_ROUTES = (
    PageRoute(path="", show=overview.overview),
    PageRoute(path="/queue", show=queue.queue, act=queue.change),
    PageRoute(path="/submissions/{submission}", show=submission.submission, act=submission.change),
    PageRoute(path=f"{ADAPTER}/versions", show=versions.versions),
    PageRoute(path=f"{ADAPTER}/versions/{{version}}", show=version.version, is_live=False),
    PageRoute(
        path=f"{ADAPTER}/rollback/{{version}}",
        show=versions.rollback,
        act=versions.roll_back,
        is_live=False,
    ),
    PageRoute(
        path=f"{ADAPTER}/promote/{{version}}",
        show=versions.promotion,
        act=versions.promote,
        is_live=False,
    ),
    PageRoute(path="/serving", show=serving.serving),
    PageRoute(path="/history", show=history.history),
    PageRoute(path=f"{ADAPTER}/matrix", show=version.matrix),
    PageRoute(path=f"{ADAPTER}/compare", show=compare.compare, is_live=False),
    PageRoute(path=f"{ADAPTER}/errors", show=errors.errors, is_live=False),
    PageRoute(
        path="/playground",
        show=playground.playground,
        act=playground.ask,
        most_files=playground.MOST_IMAGES,
        images=playground.images_asked,
        is_live=False,
    ),
    PageRoute(
        path="/tasks/new",
        show=new_task.new_task,
        act=new_task.submit,
        most_files=1,
        is_live=False,
        timeout_s=3600.0,
    ),
    PageRoute(path="/data", show=data.data),
    PageRoute(
        path=f"{ADAPTER}/tasks/{{task}}/remove",
        show=data.removal,
        act=data.remove,
        is_live=False,
    ),
    PageRoute(path="/health", show=health.health, act=health.check, is_live=False, timeout_s=600.0),
    PageRoute(path="/access", show=access.access, act=access.change, is_live=False),
    PageRoute(path="/search", show=search.search, is_live=False),
)
