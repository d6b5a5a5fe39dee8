"""Limits of whoever looks at the console: the same as over HTTP."""

import asyncio
from dataclasses import replace

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from cluster.api.access.allowances import Allowances
from cluster.api.access.requesters import Access
from cluster.api.middleware import Doors
from cluster.client.requester import CONSOLE, Requester
from cluster.config import RequesterLimits
from cluster.console.entrance import Entrance
from tests.support.scenes.console import FROM_HERE, HOST, Console, learnt

ONE = RequesterLimits(requests=1, images_per_minute=3)


@pytest.fixture(scope="module")
def console() -> Console:
    made = learnt("cars")
    return replace(made, config=replace(made.config, limits={"*": ONE}))


def test_images_of_the_playground_count(console: Console) -> None:
    images = {"images": ("a.png", b"no picture")}
    with console.visited() as anna:
        asked = {"adapter": "main", "version": "1", "other": "1"}
        assert anna.upload("/playground", images, **asked).status_code == 422
        answer = anna.upload("/playground", images, **asked)
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) == 20
        assert "images_per_minute: 3" in answer.text
        assert anna.get("/queue").status_code == 200


def test_who_looks_waits_for_room_and_who_changes_something_is_refused() -> None:
    asyncio.run(_scene())


async def _scene() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def pages(scope: Scope, receive: Receive, send: Send) -> None:
        begun.set()
        if scope["path"] == "/console/slow":
            await may_end.wait()
        await PlainTextResponse(scope["path"])(scope, receive, send)

    async def nothing() -> None:
        pass

    doors = Doors(access=Access(), allowances=Allowances(lambda _: ONE))
    anna = Requester(name="anna", road=CONSOLE)
    app = Entrance(pages, doors=doors, unnamed=anna, end=nothing)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url=HOST) as browser:
        slow = asyncio.create_task(browser.get("/console/slow"))
        await begun.wait()
        refused = await browser.post("/console/queue", headers=FROM_HERE)
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "1"
        assert "requests: 1" in refused.text
        assert (await browser.get("/console/events")).status_code == 200
        looking = asyncio.create_task(browser.get("/console/queue"))
        may_end.set()
        assert (await slow).status_code == 200
        assert (await looking).text == "/console/queue"
