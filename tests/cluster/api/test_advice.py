"""Advice: what was sent in a wrong form is answered with what was expected and what to do."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import Depends, FastAPI, Request, Response
from fastapi.testclient import TestClient

from cluster.api import managing, tasks
from cluster.api.managing import VersionHandlers
from cluster.api.parameters import check_query
from cluster.api.places import Places
from cluster.api.problems import add_problems
from cluster.api.store_threads import StoreThreads
from cluster.api.task_handlers import TaskHandlers
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.config import Config
from cluster.wire.problems import Problem
from tests.support.scenes.uploads import PICTURES, TASK, packed
from workers.registry.audience import Nobody


@pytest.fixture
def service(tmp_path: Path) -> TestClient:
    config = Config(store=f"file://{tmp_path}/store")
    client, places, api = Client(config), Places.of(config), FastAPI()
    add_problems(api, places)

    @api.middleware("http")
    async def asked(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        request.state.requester = Requester(name="anna")
        return await answer(request)

    checked, threads = [Depends(check_query)], StoreThreads()
    api.include_router(tasks.routes(TaskHandlers(client, places), threads), dependencies=checked)
    api.include_router(
        managing.routes(VersionHandlers(client, Nobody()), threads), dependencies=checked
    )
    return TestClient(api)


ARCHIVE = packed(*PICTURES)
BOTH = "`curl -F task=@task.yaml -F archive=@images.tar` sends both"
JSON = {"Content-Type": "application/json"}
SUBMITTED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    # a body of POST /v1/tasks, and what is said of it
    ({"content": TASK}, ("expected an archive with the images of 'images'", "as the form's file")),
    ({"files": {"task": TASK.encode()}}, ("expected an archive", "found a task file alone")),
    ({"files": {"task": (None, TASK), "archive": (None, "x")}}, ("without a file name", BOTH)),
    (
        {"files": {"archive": ("a.tar", ARCHIVE)}},
        ("parts `task`", "found 'archive'", BOTH),
    ),
    ({"files": {"task": TASK.encode(), "tar": ARCHIVE}}, ("found 'task', 'tar'", BOTH)),
    ({"content": ARCHIVE}, ("found an archive (tar)", BOTH)),
    ({"content": b"\x1f\x8b\x08" + bytes(60)}, ("found an archive (gzip)", BOTH)),
    ({"content": "/data/task.yaml"}, ("found '/data/task.yaml'", "send the file itself")),
    (
        {"content": "name: x\nimages: /data"},
        ("'/data', where this service reads nothing",),
    ),
    ({"content": "name: x\nimges: s3://a/b"}, ("did you mean 'images'", "the key 'images'")),
    (
        {"files": {"task": TASK.encode(), "archive": ("a.zip", b"PK\3\4" + bytes(600))}},
        ("cannot be unpacked", "tar cf images.tar -C FOLDER ."),
    ),
]


@pytest.mark.parametrize(("body", "sentences"), SUBMITTED)
def test_a_task_that_is_sent_in_another_form_is_told_how_it_is_sent(
    service: TestClient, body: dict[str, Any], sentences: tuple[str, ...]
) -> None:
    response = service.post("/v1/tasks", **body)
    assert (response.status_code, response.headers["content-type"]) == (
        422,
        "application/problem+json",
    )
    detail = Problem.model_validate(response.json()).detail
    assert [sentence for sentence in sentences if sentence not in detail] == []


ASKED: list[tuple[str, str, dict[str, Any], int, str]] = [
    # verb, path, body, status, what is said
    ("GET", "/v1/tasks?adaptr=main", {}, 422, "unknown key 'adaptr' in the query of /v1/tasks"),
    ("POST", "/v1/tasks?adaptr=x", {"content": TASK}, 422, "unknown key 'adaptr' in the query"),
    ("GET", "/v1/adapters/main/versions?most=3", {}, 422, "unknown key 'most'"),
    ("GET", "/v1/adapters/main/versions", {}, 404, "submit its first task"),
    ("GET", "/v1/task", {}, 404, "there is no route '/v1/task'; /docs shows all of them"),
    ("DELETE", "/v1/tasks", {}, 405, "/v1/tasks does not take DELETE; expected GET, POST"),
    (
        "POST",
        "/v1/adapters/main/promote",
        {"json": {"verison": 1}},
        422,
        "expected the key 'version', found none; unknown key 'verison'; the known keys are "
        "version, why, alias, with_head; did you mean 'version'?",
    ),
    (
        "POST",
        "/v1/adapters/main/promote",
        {"data": {"version": 1}},
        422,
        "Content-Type: application/json, found 'application/x-www-form-urlencoded'",
    ),
]


@pytest.mark.parametrize(("verb", "path", "body", "status", "sentence"), ASKED)
def test_what_is_asked_in_another_way_is_told_what_was_expected(
    service: TestClient, verb: str, path: str, body: dict[str, Any], status: int, sentence: str
) -> None:
    response = service.request(verb, path, **body)
    assert response.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate(response.json())
    assert (response.status_code, problem.status) == (status, status)
    assert sentence in problem.detail


def test_what_is_said_to_do_works(service: TestClient) -> None:
    files = {"task": ("task.yaml", TASK.encode()), "archive": ("a.tar", ARCHIVE)}
    assert service.post("/v1/tasks", files=files).status_code == 202
