"""Serve's own errors, where a replica was lost: documents, with what is known of the outcome."""

from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from cluster.api.lost_answers import LostAnswers

FAULT = "Internal Server Error: the actor died unexpectedly before finishing this task"


def asked(answer: Response, path: str, verb: str = "POST") -> httpx.Response:
    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, receive, send)

    found: Any = TestClient(LostAnswers(serve)).request(verb, path)
    return httpx.Response(found.status_code, content=found.content, headers=dict(found.headers))


@pytest.mark.parametrize(
    ("verb", "path", "status", "said"),
    [
        ("POST", "/v1/predict", 503, "the replica that was answering was lost; ask again"),
        ("GET", "/v1/adapters", 503, "lost; ask again"),
        ("POST", "/v1/tasks", 504, "lost; the task may be accepted all the same"),
        ("POST", "/v1/adapters/main/rollback", 504, "lost; it may be done all the same"),
    ],
)
def test_whoever_asked_a_replica_that_was_lost_hears_what_is_known(
    verb: str, path: str, status: int, said: str
) -> None:
    response = asked(PlainTextResponse(FAULT, 500), path, verb)
    assert (response.status_code, response.json()["status"]) == (status, status)
    assert response.headers["content-type"] == "application/problem+json"
    assert said in response.json()["detail"]
    assert ("retry-after" in response.headers) == (status == 503)
    assert "actor" not in response.text


@pytest.mark.parametrize("breaks", [True, False])
def test_a_proxy_that_ends_before_it_has_answered_says_so_too(breaks: bool) -> None:
    async def serve(_scope: Scope, _receive: Receive, _send: Send) -> None:
        if breaks:
            raise ConnectionError("the actor died")

    found = TestClient(LostAnswers(serve)).post("/v1/predict")
    assert (found.status_code, found.json()["title"]) == (503, "UnavailableError")
    assert "actor" not in found.text


def test_one_that_breaks_later_breaks_off() -> None:
    async def serve(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ConnectionError("the actor died")

    with pytest.raises(ConnectionError):
        TestClient(LostAnswers(serve)).post("/v1/predict")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (503, "Deployment unavailable"),
        (404, "Path '/v1/predict' not found. Ping http://.../-/routes for available routes."),
    ],
)
def test_where_no_replica_was_reached_nothing_was_done(status: int, said: str) -> None:
    response = asked(PlainTextResponse(said, status), "/v1/tasks")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")
    assert "no replica can be reached now" in response.json()["detail"]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/-/healthz", PlainTextResponse("no", 503)),
        (
            "/v1/predict",
            JSONResponse({"title": "ours"}, 500, media_type="application/problem+json"),
        ),
        ("/v1/metrics", PlainTextResponse("nacre_requests_total 1")),
        ("/v1/nothing", JSONResponse({"title": "NotFoundError"}, 404)),
        ("/v1/predict", PlainTextResponse("later", 429)),
    ],
)
def test_every_other_answer_stays_as_it_is(path: str, answer: Response) -> None:
    response = asked(answer, path)
    assert (response.status_code, response.content) == (answer.status_code, answer.body)
