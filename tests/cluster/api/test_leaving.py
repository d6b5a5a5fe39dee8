"""Clients that leave: the work for them ends, and nobody takes it for a fault of the service."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from cluster.api.access.requesters import Access
from cluster.api.leaving import while_awaited
from cluster.api.middleware import LEFT, Doors, add_access
from cluster.serving.metrics import Metrics
from tests.support.drivers.running import play
from workers.metrics import Tally
from workers.metrics.families import REQUESTS
from workers.serving.turns import Turns


class Client:
    """A client that has sent its request, and leaves when it is told to."""

    def __init__(self) -> None:
        self.leaves = asyncio.Event()
        self.request = Request({"type": "http"}, self._receive)

    async def _receive(self) -> Message:
        await self.leaves.wait()
        return {"type": "http.disconnect"}


def test_work_is_answered_while_somebody_waits() -> None:
    async def scene() -> None:
        async def work() -> str:
            return "answer"

        assert await while_awaited(Client().request, work()) == "answer"

    play(scene)


def test_an_error_of_the_work_is_the_error_of_the_request() -> None:
    async def scene() -> None:
        async def work() -> str:
            raise ValueError("none of ours")

        with pytest.raises(ValueError, match="none of ours"):
            await while_awaited(Client().request, work())

    play(scene)


def test_pictures_that_wait_are_never_decoded_when_their_client_has_left() -> None:
    async def scene() -> None:
        loop, client = asyncio.get_running_loop(), Client()
        decoded: list[int] = []
        first = asyncio.Event()
        go_on = asyncio.Event()

        def decode(number: int) -> int:
            decoded.append(number)
            loop.call_soon_threadsafe(first.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
            return number

        with ThreadPoolExecutor(1) as threads:
            turns: Turns[int, int] = Turns(threads, most=1, short=decode, long=decode)
            asked = asyncio.create_task(while_awaited(client.request, turns(range(24))))
            await first.wait()
            client.leaves.set()
            with pytest.raises(ClientDisconnect):
                await asked
            go_on.set()
            # Of another request: what was begun has ended when it is answered.
            assert await turns([99]) == [99]
        assert decoded == [0, 99]

    play(scene)


def test_a_client_that_breaks_off_its_upload_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    api, tally = FastAPI(), Tally()
    metrics = Metrics(tally)

    @api.post("/upload")
    async def upload(request: Request) -> int:
        return len(await request.body())

    add_access(api, Doors(access=Access()), metrics)
    messages: list[Message] = [
        {"type": "http.request", "body": b"half", "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/upload",
        "raw_path": b"/upload",
        "query_string": b"",
        "headers": [],
    }
    with caplog.at_level(logging.INFO):
        asyncio.run(api(scope, receive, send))
    assert sent[0]["status"] == LEFT
    assert [record.levelname for record in caplog.records if record.exc_info] == []
    assert str(LEFT) in {each.named["code"] for each in tally.points() if each.family is REQUESTS}
