"""The HTTP API as one FastAPI application."""

from fastapi import FastAPI

from cluster.api import health, managing, predicting, tasks
from cluster.api.access import Access, add_access
from cluster.api.managing import VersionHandlers
from cluster.api.problems import add_problems
from cluster.api.task_handlers import TaskHandlers
from cluster.serving.service import Service

DESCRIPTION = """
Predictions of ever-growing adapters, their versions, and the tasks that they learn.

A version is written `adapter@number`. Whoever names no version is answered by what `production`
points to at that moment; every answer says which version that was. Errors are
`application/problem+json`. Where tokens are set, they go into the header `Authorization: Bearer …`.
"""


def build_api(
    service: Service, versions: VersionHandlers, handlers: TaskHandlers, access: Access
) -> FastAPI:
    """Return the application.

    Args:
        service: Answers for images.
        versions: Looks at versions and moves aliases.
        handlers: Takes tasks in.
        access: Who may do what, and how long.
    """
    api = FastAPI(title="nacre", version="1", description=DESCRIPTION)
    add_problems(api)
    add_access(api, access, service.metrics)
    api.include_router(predicting.routes(service))
    api.include_router(managing.routes(versions))
    api.include_router(tasks.routes(handlers))
    api.include_router(health.routes(service))
    return api
