"""Limits of requesters over HTTP: 429 says which, how much and for how long."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.types import Message

from cluster.api.access.allowances import Allowances
from cluster.api.access.requesters import Access
from cluster.api.limits import BodyLimits
from cluster.api.middleware import Doors, add_access
from cluster.api.problems import add_problems
from cluster.client.requester import Requester
from cluster.config import Config, RequesterLimits
from cluster.serving.metrics import Metrics
from cluster.wire.problems import Problem
from tests.cluster.api.conftest import Scene
from tests.support.drivers.api_server import ApiServer
from tests.support.fakes.tokens import HeldTokens, held
from workers.access.roles import AccessRole

ROLES = {"main": AccessRole.OPERATOR}
KNOWN = HeldTokens(loud=held("loud", ROLES), quiet=held("quiet", ROLES))


class Held:
    """An API whose requests are answered when the test lets them."""

    def __init__(self, limits: RequesterLimits) -> None:
        self.go, self.under_way = asyncio.Event(), 0
        api = FastAPI()
        add_problems(api)
        config = Config(limits={"*": limits})
        doors = Doors(
            access=Access(change_token="all"),
            known=KNOWN,
            allowances=Allowances(config.of_requester),
        )
        add_access(api, doors, Metrics())

        @api.get("/v1/health/live")
        def live() -> str:
            return "live"

        @api.get("/v1/adapters/{adapter}/versions")
        async def versions(adapter: str, request: Request) -> str:
            del request
            self.under_way += 1
            await self.go.wait()
            return adapter

        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=api), base_url="http://api"
        )

    async def ask(self, token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer nacre_{token}"}
        return await self.client.get("/v1/adapters/main/versions", headers=headers)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(180):
            while self.under_way < count:
                await asyncio.sleep(0)


def test_of_sixty_four_requests_half_are_refused_and_somebody_else_is_let_in() -> None:
    async def scene() -> None:
        api = Held(RequesterLimits(requests=32))
        loud = [asyncio.create_task(api.ask("loud")) for _ in range(64)]
        await api.until(32)
        quiet = asyncio.create_task(api.ask("quiet"))
        await api.until(33)
        assert (await api.client.get("/v1/health/live")).status_code == 200
        api.go.set()
        answers = await asyncio.gather(*loud)
        assert (await quiet).status_code == 200
        refused = [each for each in answers if each.status_code == 429]
        assert len(refused) == 32
        problem = Problem.model_validate(refused[0].json())
        assert problem.title == "LimitError"
        assert "'token:loud' has 32 requests under way here" in problem.detail
        assert refused[0].headers["retry-after"] == "1"
        assert (await api.ask("loud")).status_code == 200

    asyncio.run(scene())


@pytest.fixture(scope="module")
def config(scene: Scene) -> Config:
    return replace(scene.config, limits={"*": RequesterLimits(images_per_minute=3)})


def test_images_over_the_limit_of_a_minute_are_refused_in_each_replica_by_itself(
    scene: Scene, config: Config
) -> None:
    access = Access(change_token="all", predict_token="ask")
    images = [("images", ("bag.png", scene.bag))] * 2
    with (
        ApiServer(config, access=access) as one,
        ApiServer(config, access=access) as other,
        one.client(Authorization="Bearer all") as first,
        other.client(Authorization="Bearer all") as second,
        one.client(Authorization="Bearer ask") as somebody_else,
    ):
        assert first.post("/v1/predict", files=images).status_code == 200
        refused = first.post("/v1/embed", files=images)
        assert refused.status_code == 429
        assert "asked for 2 images within the last minute, and 2 more" in refused.json()["detail"]
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        # Nothing but images counts, nor do those of others, nor those of another replica.
        assert first.get("/v1/adapters/main/versions").status_code == 200
        assert somebody_else.post("/v1/embed", files=images).status_code == 200
        assert second.post("/v1/predict", files=images).status_code == 200


def test_where_nobody_is_told_apart_there_is_no_limit_that_is_not_set_by_name(
    scene: Scene, config: Config
) -> None:
    images = [("images", ("bag.png", scene.bag))] * 4
    with ApiServer(config) as server, server.client() as client:
        for _ in range(2):
            assert client.post("/v1/embed", files=images).status_code == 200


def test_slow_bodies_of_one_requester_leave_room_for_those_of_others() -> None:
    async def scene() -> None:
        arrived, go = asyncio.Event(), asyncio.Event()
        api = FastAPI()
        add_problems(api)

        @api.post("/v1/embed")
        async def embed(request: Request) -> int:
            return len(await request.body())

        limited = BodyLimits(api, held_bytes=1000)
        statuses: dict[str, int] = {}

        async def send(who: str, pieces: AsyncIterator[bytes], name: str) -> None:
            async def receive() -> Message:
                async for piece in pieces:
                    return {"type": "http.request", "body": piece, "more_body": True}
                return {"type": "http.request", "body": b"", "more_body": False}

            async def answered(message: Message) -> None:
                if message["type"] == "http.response.start":
                    statuses[name] = message["status"]

            scope = {
                "type": "http",
                "method": "POST",
                "path": "/v1/embed",
                "raw_path": b"/v1/embed",
                "query_string": b"",
                "headers": [],
                "state": {"requester": Requester(name=f"token:{who}")},
            }
            await limited(scope, receive, answered)

        async def slow() -> AsyncIterator[bytes]:
            yield b"x" * 400
            arrived.set()
            await go.wait()

        async def quick() -> AsyncIterator[bytes]:
            yield b"x" * 400

        first = asyncio.create_task(send("loud", slow(), "first"))
        await arrived.wait()
        await send("loud", quick(), "second")
        await send("quiet", quick(), "third")
        go.set()
        await first
        await send("loud", quick(), "last")
        assert statuses == {"first": 200, "second": 429, "third": 200, "last": 200}

    asyncio.run(scene())
