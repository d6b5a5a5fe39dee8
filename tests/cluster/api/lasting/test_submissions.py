"""Following a submission over HTTP: each change is a line, and the end is the last one."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from starlette.types import Message, Scope

from cluster.client.client import Client
from cluster.config import Config
from cluster.wire.facts import state_document
from cluster.wire.lasting import LINES, LastingLine
from tests.support.drivers.running import TIMEOUT_S
from tests.support.scenes.routes import routes_of
from tests.support.scenes.tickets import set_ticket
from workers.queue.ticket import Stage
from workers.registry.audience import Nobody
from workers.store import MemoryStore


@pytest.fixture
def client(write_task: Callable[..., Path]) -> Client:
    client = Client(Config(), store=MemoryStore(), audience=Nobody())
    client.submit(write_task())
    return client


@pytest.fixture
def routes(client: Client) -> TestClient:
    return routes_of(client)


def ended(client: Client) -> str:
    name = client.find("colors").ticket.submission_id
    set_ticket(client.store, name, stage=Stage.FAILED)
    return name


def test_one_that_has_ended_is_told_at_once(client: Client, routes: TestClient) -> None:
    name = ended(client)
    expected = state_document(client.state(name)).model_dump(mode="json")
    assert routes.get(f"/v1/tasks/{name}/watch").json() == expected
    response = routes.get("/v1/tasks/colors/watch", headers={"Accept": LINES})
    (line,) = [LastingLine.model_validate_json(each) for each in response.text.splitlines()]
    assert line.result == expected


def test_one_that_goes_on_is_told_before_the_time_of_the_request_is_over(
    routes: TestClient,
) -> None:
    headers = {"X-Request-Timeout-Ms": "1200"}
    state = routes.get("/v1/tasks/colors/watch", headers=headers).json()
    assert (state["task"], state["stage"]) == ("colors", "accepted")


def test_one_that_nobody_knows_is_not_found(routes: TestClient) -> None:
    for accept in (LINES, "*/*"):
        response = routes.get("/v1/tasks/nobody/watch", headers={"Accept": accept})
        assert response.status_code == 404


def test_its_changes_come_as_lines_and_its_end_as_the_last(client: Client) -> None:
    app = routes_of(client).app

    async def scene() -> list[LastingLine]:
        lines: list[LastingLine] = []
        scope: Scope = {
            "type": "http",
            "asgi": {"spec_version": "2.3"},
            "method": "GET",
            "path": "/v1/tasks/colors/watch",
            "raw_path": b"/v1/tasks/colors/watch",
            "query_string": b"",
            "headers": [(b"accept", LINES.encode())],
        }

        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            if body := message.get("body"):
                lines.append(LastingLine.model_validate_json(body))
                if len(lines) == 1:
                    await asyncio.to_thread(ended, client)

        await asyncio.wait_for(app(scope, receive, send), TIMEOUT_S)
        return lines

    first, *_, last = asyncio.run(scene())
    assert first.state is not None
    assert first.state.stage == "accepted"
    assert last.result["stage"] == "failed"
