"""Errors over HTTP: one kind of document for all of them."""

import re

import pytest
from fastapi import FastAPI, Query
from fastapi.testclient import TestClient

from adapters.errors import (
    ClassNameError,
    ConflictError,
    CorruptionError,
    DamagedFileError,
    ImageError,
    NacreError,
    NotFoundError,
    UnavailableError,
    UnknownOutcomeError,
)
from adapters.guidance import help_of
from cluster.api.problems import add_problems
from cluster.wire.problems import Problem
from cluster.wire.versions import PromoteRequest


def service(error: NacreError | None = None) -> TestClient:
    """Return a small API whose one question is answered, or refused with `error`."""
    api = FastAPI()
    add_problems(api)

    @api.get("/v1/question")
    def question(top_k: int = Query(default=1, ge=1)) -> int:
        if error is not None:
            raise error
        return top_k

    @api.post("/v1/promise")
    def promise(asked: PromoteRequest) -> str:
        return asked.alias

    return TestClient(api, raise_server_exceptions=False)


ERRORS: list[tuple[NacreError, int]] = [
    (NotFoundError("no version 7"), 404),
    # the request is at fault
    (ImageError("not an image"), 422),
    (ClassNameError("no classes"), 422),
    (DamagedFileError("half of it is missing"), 422),
    (ConflictError("head moved"), 409),
    (UnavailableError("no version yet"), 503),
    # the service is at fault
    (CorruptionError("a record is damaged"), 500),
    (UnknownOutcomeError("the answer was lost"), 504),
]


@pytest.mark.parametrize(("error", "status"), ERRORS)
def test_an_error_is_answered_with_its_status_and_its_sentence(
    error: NacreError, status: int
) -> None:
    response = service(error).get("/v1/question")
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "about:blank",
        "title": type(error).__name__,
        "status": status,
        "detail": error.message,
        "help": help_of(error),
    }


REFUSALS: list[tuple[str, str, int, str]] = [
    # verb, path, status, what the detail says
    ("GET", "/v1/question?top_k=0", 422, "query.top_k: .*greater than or equal to 1"),
    ("GET", "/v1/question?top_k=many", 422, "query.top_k: .*integer"),
    ("GET", "/v1/nothing", 404, "there is no route '/v1/nothing'"),
    ("POST", "/v1/question", 405, "expected GET"),
]


@pytest.mark.parametrize(("verb", "path", "status", "detail"), REFUSALS)
def test_what_the_framework_refuses_is_the_same_kind_of_document(
    verb: str, path: str, status: int, detail: str
) -> None:
    response = service().request(verb, path)
    assert response.headers["content-type"] == "application/problem+json"
    found = Problem.model_validate(response.json())
    assert (response.status_code, found.status) == (status, status)
    assert re.search(detail, found.detail)


BODIES: list[tuple[object, str]] = [
    # what is sent, and what the detail says
    ([], "expected a JSON object as the body of /v1/promise, found a list"),
    ("3", "expected a JSON object as the body of /v1/promise, found a text"),
    (
        {"version": {}},
        "^version: Input should be a valid string or Input should be a valid integer$",
    ),
    ({"version": 3, "x": 1}, "unknown key 'x'; the known keys are version, .*; leave it out$"),
    ({"version": 3, "alia": "x"}, "the known keys are version, .*; did you mean 'alias'\\?$"),
]


@pytest.mark.parametrize(("body", "detail"), BODIES)
def test_what_is_wrong_with_a_body_is_one_sentence(body: object, detail: str) -> None:
    found = Problem.model_validate(service().post("/v1/promise", json=body).json())
    assert found.status == 422
    assert re.search(detail, found.detail), found.detail
