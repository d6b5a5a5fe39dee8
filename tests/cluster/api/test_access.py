"""Two tokens, request ids, deadlines, and what is written down of a request."""

import asyncio
import logging
import re
from importlib import import_module
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from adapters.errors import UnavailableError, UnknownOutcomeError
from cluster.api.access.requesters import Access
from cluster.api.headers import UsableIds, in_front_of_serve
from cluster.api.lost_answers import LostAnswers
from cluster.api.middleware import Doors, add_access
from cluster.api.problems import add_problems
from cluster.client.attempts import error_of
from cluster.client.remote.address import remote_address
from cluster.config import PREDICT_TOKEN, TOKEN, URL, Config
from cluster.metrics.exposition import Shown, exposition
from cluster.serving.metrics import Metrics
from cluster.system.ingress import IN_FRONT
from cluster.wire.problems import Problem
from workers.metrics import Tally

CHANGE, ASK = "who-may-change", "who-may-ask"
BOTH = Access(change_token=CHANGE, predict_token=ASK)


def service(access: Access) -> TestClient:
    """Return a small API behind `access`."""
    api = FastAPI()
    add_problems(api)
    tally = Tally()
    metrics = Metrics(tally)
    add_access(api, Doors(access=access), metrics)

    @api.get("/v1/health/live")
    def live() -> str:
        return "live"

    @api.get("/v1/adapters/{adapter}/versions")
    def versions(adapter: str) -> str:
        return adapter

    @api.post("/v1/adapters/{adapter}/{what}")
    def change(adapter: str, what: str) -> str:
        return f"{what} {adapter}"

    @api.post("/v1/predict")
    async def predict() -> str:
        return "a bag"

    @api.post("/v1/embed")
    async def embed() -> str:
        await asyncio.Event().wait()  # for ever
        return "never"

    @api.get("/v1/tasks")
    @api.post("/v1/tasks")
    @api.post("/v1/adapters/{adapter}/promote/never")
    @api.post("/v1/tokens")
    async def task() -> str:
        await asyncio.Event().wait()  # for ever, as a store that hangs
        return "never"

    @api.get("/v1/broken")
    async def broken() -> str:
        raise ZeroDivisionError

    @api.get("/v1/metrics")
    def counted() -> str:
        return exposition(map(Shown.of, tally.points())).decode()

    return TestClient(api, raise_server_exceptions=False)


def as_client(response: Any) -> httpx.Response:
    """Return an answer as a client of the API has it."""
    return httpx.Response(
        response.status_code, content=response.content, headers=dict(response.headers)
    )


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def guarded() -> TestClient:
    return service(BOTH)


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/adapters/main/rollback"])
def test_without_tokens_everybody_may_do_everything(path: str) -> None:
    assert service(Access()).post(path).status_code == 200


ASKING = [
    ("POST", "/v1/predict"),
    ("POST", "/v1/adapters/main/predict"),
    ("POST", "/v1/adapters/main@3/predict"),
    ("GET", "/v1/adapters/main/versions"),
    ("GET", "/v1/metrics"),
]
CHANGING = [
    ("POST", "/v1/adapters/main/rollback"),
    ("POST", "/v1/adapters/main/promote"),
    ("POST", "/v1/adapters/main/drop"),
    ("POST", "/v1/adapters/main/prepare"),
    ("POST", "/v1/adapters/predict/rollback"),
    ("POST", "/v1/tasks/digits/cancel"),
    ("POST", "/v1/adapters/main/pause"),
]


@pytest.mark.parametrize(("verb", "path"), ASKING)
def test_both_tokens_permit_to_ask_and_to_look(guarded: TestClient, verb: str, path: str) -> None:
    for token in (CHANGE, ASK):
        assert guarded.request(verb, path, headers=bearer(token)).status_code == 200
    assert guarded.request(verb, path).status_code == 401


@pytest.mark.parametrize(("verb", "path"), CHANGING)
def test_only_one_token_permits_to_change(guarded: TestClient, verb: str, path: str) -> None:
    assert guarded.request(verb, path, headers=bearer(CHANGE)).status_code not in (401, 403)
    refused = guarded.request(verb, path, headers=bearer(ASK))
    assert refused.status_code == 403
    problem = Problem.model_validate(refused.json())
    assert (problem.title, problem.status) == ("ForbiddenError", 403)


def test_a_token_to_ask_without_one_to_change_guards_nothing_and_opens_nothing() -> None:
    """`nacre up` refuses that; the middleware itself stays open, as without any token."""
    only = service(Access(predict_token=ASK))
    assert only.post("/v1/predict").status_code == 200


WRONG: list[dict[str, str]] = [
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer "},
    {"Authorization": "Bearer another"},
    # a beginning is not enough, nor is more
    {"Authorization": f"Bearer {CHANGE[:-1]}"},
    {"Authorization": f"Bearer {CHANGE}x"},
    {"Authorization": f"Basic {CHANGE}"},
    {"X-Token": CHANGE},
]


@pytest.mark.parametrize("headers", WRONG)
def test_anything_else_stays_outside(guarded: TestClient, headers: dict[str, str]) -> None:
    response = guarded.get("/v1/metrics", headers=headers)
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"] == "Bearer"
    assert CHANGE not in response.text and ASK not in response.text


def test_a_token_of_strange_letters_is_refused_and_nothing_breaks(guarded: TestClient) -> None:
    response = guarded.get("/v1/metrics", headers={b"Authorization": b"Bearer \xe9\xff"})
    assert response.status_code == 401


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_the_description_is_open_so_that_a_browser_shows_where_the_token_goes(
    guarded: TestClient, path: str
) -> None:
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/v1/nothing", "/docsx", "/v1/health/", "/v1/tasks%0A", "/v1/"])
def test_whoever_has_no_token_does_not_even_hear_what_there_is(
    guarded: TestClient, path: str
) -> None:
    assert guarded.get(path).status_code == 401
    # With a token a line's end after the name of a route counts for nothing: that one hangs.
    headers = bearer(ASK) | {"X-Request-Timeout-Ms": "20"}
    assert guarded.get(path, headers=headers).status_code in (404, 503)


@pytest.mark.parametrize(
    ("verb", "path"), [("DELETE", "/v1/predict"), ("PUT", "/v1/adapters/main/versions")]
)
def test_what_no_route_takes_is_done_by_nobody(guarded: TestClient, verb: str, path: str) -> None:
    for token in (CHANGE, ASK):
        assert guarded.request(verb, path, headers=bearer(token)).status_code == 405


def test_probes_need_no_token(guarded: TestClient) -> None:
    assert guarded.get("/v1/health/live").json() == "live"


def test_tokens_come_from_the_environment_and_an_empty_one_is_none() -> None:
    access = Access.of({TOKEN: CHANGE, PREDICT_TOKEN: ""}, timeout_s=1)
    assert (access.change_token, access.predict_token) == (CHANGE, None)


def test_the_line_break_of_a_file_is_no_part_of_a_token() -> None:
    """As in a Secret that `kubectl create secret --from-file` has made."""
    access = Access.of({TOKEN: f"{CHANGE}\n", PREDICT_TOKEN: "\n"}, timeout_s=1)
    assert (access.change_token, access.predict_token) == (CHANGE, None)
    sent = {URL: "http://127.0.0.1:1", TOKEN: f"{CHANGE}\r\n"}
    address = remote_address(Config(), environment=sent)
    assert address is not None
    assert address.token == CHANGE


def test_every_answer_has_a_request_id() -> None:
    api = service(Access())
    ids = {api.post("/v1/predict").headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3
    for path in ("/v1/nothing", "/v1/broken"):
        assert api.get(path).headers["x-request-id"]


def test_an_id_that_was_sent_comes_back() -> None:
    response = service(Access()).post("/v1/predict", headers={"X-Request-Id": "from-the-gateway"})
    assert response.headers["x-request-id"] == "from-the-gateway"


@pytest.mark.parametrize("given", ["x" * 129, "", "\x7f"])
def test_an_id_that_could_spoil_a_log_is_replaced(given: str) -> None:
    response = service(Access()).post("/v1/predict", headers={"X-Request-Id": given})
    assert re.fullmatch("[0-9a-f]{16}", response.headers["x-request-id"])


def test_a_deadline_that_the_request_sets_is_kept() -> None:
    response = service(Access()).post("/v1/embed", headers={"X-Request-Timeout-Ms": "30"})
    assert response.status_code == 504
    assert response.headers["content-type"] == "application/problem+json"
    assert "within 0.03 s" in response.json()["detail"]


def test_looking_that_comes_too_late_may_be_asked_again() -> None:
    response = service(Access()).get("/v1/tasks", headers={"X-Request-Timeout-Ms": "40"})
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert "within 0.036 s" in response.json()["detail"]  # before the caller stops to listen
    assert isinstance(error_of(as_client(response)), UnavailableError)


@pytest.mark.parametrize(
    ("path", "how"),
    [
        ("/v1/tasks", "nacre status"),
        ("/v1/adapters/main/promote/never", "nacre history"),
        ("/v1/tokens", "nacre token list"),
    ],
)
def test_a_change_that_comes_too_late_may_have_been_made_and_says_how_to_find_out(
    path: str, how: str
) -> None:
    response = service(Access()).post(path, headers={"X-Request-Timeout-Ms": "30"})
    assert response.status_code == 504
    error = error_of(as_client(response))
    assert isinstance(error, UnknownOutcomeError)
    assert error.exit_code == 5
    assert how in error.message


@pytest.mark.parametrize("asked", ["999999999", "1" * 400])
def test_no_request_gets_more_time_than_is_allowed(asked: str) -> None:
    api = service(Access(timeout_s=0.05))
    response = api.post("/v1/embed", headers={"X-Request-Timeout-Ms": asked})
    assert response.status_code == 504


@pytest.mark.parametrize("asked", ["never", "-5", "0", "1.5", ""])
def test_a_time_that_is_none_is_refused(asked: str) -> None:
    api = service(Access(timeout_s=0.05))
    response = api.post("/v1/embed", headers={"X-Request-Timeout-Ms": asked})
    assert response.status_code == 422
    assert "X-Request-Timeout-Ms" in response.json()["detail"]


def test_what_breaks_is_a_problem_like_others_and_counted() -> None:
    api = service(Access())
    response = api.get("/v1/broken")
    assert response.status_code == 500
    assert Problem.model_validate(response.json()).title == "InternalError"
    assert "ZeroDivision" not in response.text
    assert (
        'nacre_requests_total{adapter="",code="500",route="/v1/broken"} 1.0'
        in api.get("/v1/metrics").json()
    )


def test_paths_that_nobody_knows_are_counted_together() -> None:
    """A scanner must not be able to fill the memory with counters."""
    api = service(Access())
    for number in range(20):
        api.get(f"/v1/guess-{number}")
    text = api.get("/v1/metrics").json()
    assert 'nacre_requests_total{adapter="",code="404",route="unknown"} 20.0' in text
    assert "guess" not in text


def test_the_log_has_the_request_and_no_secret(
    guarded: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {**bearer(CHANGE), "X-Request-Id": "from-the-gateway"}
    with caplog.at_level(logging.INFO, logger="nacre.requests"):
        guarded.post("/v1/predict?token=secret", headers=headers)
    (record,) = caplog.records
    assert record.__dict__["request_id"] == "from-the-gateway"
    assert (record.__dict__["route"], record.__dict__["status"]) == ("/v1/predict", 200)
    assert CHANGE not in str(record.__dict__)
    assert "secret" not in str(record.__dict__)


@pytest.mark.parametrize(
    ("given", "kept"),
    [(["x" * 128], True), (["x" * 129], False), (["a", "\x7f"], False), ([], True)],
)
def test_what_stands_in_front_of_serve_drops_ids_that_could_spoil_a_log(
    given: list[str], kept: bool
) -> None:
    seen: list[list[str]] = []

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(Headers(scope=scope).getlist("x-request-id"))
        await PlainTextResponse("served")(scope, receive, send)

    assert [str(one.cls) for one in in_front_of_serve()] == [str(UsableIds), str(LostAnswers)]
    client = TestClient(UsableIds(serve))
    assert client.get("/", headers=[("X-Request-Id", one) for one in given]).text == "served"
    assert seen == [given if kept else []]


def test_serve_finds_what_is_to_stand_in_front_of_it() -> None:
    module, _, name = IN_FRONT.rpartition(".")
    assert getattr(import_module(module), name) is in_front_of_serve
