"""The route that follows a submission until it has ended."""

import asyncio
import time
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from adapters.errors import NacreError
from cluster.api.lasting.answers import (
    SIGN_S,
    Counted,
    accepts_lines,
    goes_on,
    in_lines,
    line,
    line_response,
)
from cluster.api.leaving import while_awaited
from cluster.api.parameters import AskedBy
from cluster.api.store_threads import StoreThreads
from cluster.api.task_handlers import TaskHandlers
from cluster.client.requester import Requester
from cluster.wire.problems import error_document
from cluster.wire.tasks import TaskState
from workers.queue.ticket import ENDED, Stage

MOST = 16
"""Submissions that one replica follows at once; each takes the place of a request."""
POLL_S = 0.5
MARGIN_S = 2 * POLL_S
"""So long before its time is over, a request is answered with where the submission is by then."""
MOVING = {"rate", "left_s"}
"""What changes by itself as time goes by."""


def routes(handlers: TaskHandlers, threads: StoreThreads) -> APIRouter:
    """Return the route, answered by `handlers` in `threads`."""
    router = APIRouter(prefix="/v1/tasks", tags=["tasks"])
    watchers = Counted(MOST)

    @router.get("/{name}/watch", response_model=TaskState, responses=in_lines(404))
    async def watch_task(request: Request, name: str, by: AskedBy) -> Response:
        """Follow a submission until it has ended, given by its id or its task's name.

        In lines, `state` comes with every change. Otherwise the answer comes when the submission
        has ended, or shortly before the time of the request is over: then ask again.
        """
        end = watchers.begin()
        try:
            first = await threads(handlers.task, name, by=by)
            states = _states(first, by)
            if accepts_lines(request):
                goes_on(request)
                return line_response(_lines(states), end)
            last = await while_awaited(request, _last(states, request))
        except BaseException:
            end()
            raise
        end()
        return JSONResponse(last.model_dump(mode="json"))

    async def _states(state: TaskState, by: Requester) -> AsyncIterator[TaskState]:
        """Yield where a submission is, again and again until it has ended."""
        while True:
            yield state
            if has_ended(state):
                return
            await asyncio.sleep(POLL_S)
            state = await threads(handlers.task, state.submission_id, by=by)

    return router


def has_ended(state: TaskState) -> bool:
    """Return whether a submission has ended."""
    return Stage(state.stage) in ENDED


async def _last(states: AsyncIterator[TaskState], request: Request) -> TaskState:
    """Return the last of some states, or the one shortly before the time of a request is over."""
    when = request.state.deadline.when()
    async for state in states:
        late = when is not None and asyncio.get_running_loop().time() > when - MARGIN_S
        if late or has_ended(state):
            return state
    raise AssertionError("a submission is somewhere")


async def _lines(states: AsyncIterator[TaskState]) -> AsyncIterator[bytes]:
    told: dict[str, object] = {}
    at = 0.0
    try:
        async for state in states:
            lasting = state.model_dump(mode="json", exclude=MOVING)
            if has_ended(state):
                yield line("result", state)
            elif lasting != told or time.monotonic() - at >= SIGN_S:
                told, at = lasting, time.monotonic()
                yield line("state", state)
    except NacreError as error:
        yield line("error", error_document(error))
