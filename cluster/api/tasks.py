"""Routes for submissions: submit, look, cancel, retry."""

import threading
from typing import Annotated

from fastapi import APIRouter, Query, Request

from cluster.api.leaving import while_awaited
from cluster.api.parameters import AskedBy
from cluster.api.problems import problems
from cluster.api.store_threads import StoreThreads
from cluster.api.task_handlers import TaskHandlers, received_task
from cluster.wire.tasks import TaskAccepted, TaskEvent, TaskList, TaskOutcome, TaskState, WorkerLog

LOOK = problems(404, 422, 503)
CHANGE = problems(404, 413, 422, 503)
Grown = Annotated[
    str | None,
    Query(max_length=200, description="The adapter to grow, instead of the task file's."),
]
After = Annotated[
    float,
    Query(
        ge=0, allow_inf_nan=False, description="Only what happened later, in seconds since 1970."
    ),
]


def routes(handlers: TaskHandlers, threads: StoreThreads) -> APIRouter:
    """Return the routes, answered by `handlers` in `threads`."""
    router = APIRouter(prefix="/v1/tasks", tags=["tasks"])

    @router.post(
        "", status_code=202, responses=problems(400, 409, 413, 422, 503, 504), openapi_extra=BODY
    )
    async def submit_task(request: Request, by: AskedBy, adapter: Grown = None) -> TaskAccepted:
        """Submit a task: a task file, or multipart with `task` and a tar of its folder, `archive`.

        It is durable when this answers. Paths in the task file lead into the archive.
        """
        async with received_task(request) as (content, archive):
            left = threading.Event()
            work = threads(handlers.submit, content, archive, by=by, adapter=adapter, left=left)
            try:
                accepted = await while_awaited(request, work)
                request.state.said = {"submission": accepted.submission.submission_id}
                return accepted
            finally:
                left.set()

    @router.get("", responses=problems(503))
    async def tasks(by: AskedBy) -> TaskList:
        """Say where every submission is that is open or has ended within a day."""
        return await threads(handlers.tasks, by=by)

    @router.get("/{name}", responses=LOOK)
    async def task(name: str, by: AskedBy) -> TaskState:
        """Say where a submission is, given by its id or its task's name."""
        return await threads(handlers.task, name, by=by)

    @router.get("/{name}/events", responses=LOOK)
    async def task_events(name: str, by: AskedBy, after: After = 0.0) -> list[TaskEvent]:
        """Say what has happened to a submission, oldest first; `after` leaves out what is known."""
        return await threads(handlers.events, name, by=by, after=after)

    @router.get("/{name}/logs", responses=LOOK)
    async def worker_logs(name: str, by: AskedBy, after: After = 0.0) -> list[WorkerLog]:
        """Say what workers wrote while they worked on a submission, oldest first.

        Of each process and attempt there is one log, with the traceback of its failure.
        """
        return await threads(handlers.worker_logs, name, by=by, after=after)

    @router.post("/{name}/cancel", responses=CHANGE)
    async def cancel_task(name: str, by: AskedBy) -> TaskOutcome:
        """Take a submission back; one that has ended otherwise stays, as `outcome` says."""
        return await threads(handlers.cancel, name, by=by)

    @router.post("/{name}/retry", responses=CHANGE)
    async def retry_task(name: str, by: AskedBy) -> TaskOutcome:
        """Try a submission again that has failed, or at once where it waits to be."""
        return await threads(handlers.retry, name, by=by)

    return router


BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/yaml": {"schema": {"type": "string"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "task": {"type": "string"},
                        "archive": {"type": "string", "format": "binary"},
                    },
                    "required": ["task"],
                }
            },
        },
    }
}
