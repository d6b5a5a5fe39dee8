"""The limit of all bodies together, and threads for requests that wait for the store."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.errors import UnavailableError
from cluster.api.limits import BodyLimits
from cluster.api.problems import problem_of_http
from cluster.api.store_threads import THREADS, StoreThreads
from cluster.client.attempts import error_of

TIMEOUT_S = 180
JSON = {"content-type": "application/json"}


class Reading:
    """Reads the body of each request, and answers once it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.has_read = asyncio.Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await Request(scope, receive).body()
        except HTTPException as error:
            await problem_of_http(error)(scope, receive, send)
            return
        self.has_read.release()
        await self.may_answer.wait()
        await PlainTextResponse(str(len(body)))(scope, receive, send)


def asked(app: ASGIApp, ask: Callable[[httpx.AsyncClient], Awaitable[None]]) -> None:
    async def run() -> None:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://nacre"
        ) as client:
            await asyncio.wait_for(ask(client), TIMEOUT_S)

    asyncio.run(run())


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x"])
def test_bodies_have_a_limit_together_and_leave_room_when_they_are_answered(kind: str) -> None:
    app = Reading()

    async def ask(client: httpx.AsyncClient) -> None:
        headers = {"content-type": kind}
        first = asyncio.ensure_future(
            client.post("/v1/predict", content=b"x" * 800, headers=headers)
        )
        await app.has_read.acquire()
        refused = await client.post("/v1/predict", content=b"x" * 300, headers=headers)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        error = error_of(refused)
        assert isinstance(error, UnavailableError)
        assert "at most 1000 bytes" in error.message
        app.may_answer.set()
        assert (await first).text == "800"
        assert (await client.post("/v1/predict", content=b"x" * 900, headers=headers)).text == "900"

    asked(BodyLimits(app, held_bytes=1000), ask)


def test_files_of_a_task_go_to_the_disk_and_are_not_counted() -> None:
    app = Reading()
    app.may_answer.set()

    async def ask(client: httpx.AsyncClient) -> None:
        headers = {"content-type": "multipart/form-data; boundary=x"}
        assert (await client.post("/v1/tasks", content=b"x" * 5000, headers=headers)).text == "5000"

    asked(BodyLimits(app, held_bytes=1000), ask)


def test_requests_that_wait_for_the_store_leave_the_threads_of_the_loop_free() -> None:
    async def run() -> None:
        threads, released = StoreThreads(), threading.Event()
        waiting = [
            asyncio.ensure_future(threads(released.wait, TIMEOUT_S)) for _ in range(2 * THREADS)
        ]
        try:
            assert await asyncio.wait_for(asyncio.to_thread(sum, [1, 2]), TIMEOUT_S) == 3
            assert not any(one.done() for one in waiting)
        finally:
            released.set()
        assert all(await asyncio.gather(*waiting))

    asyncio.run(run())
