"""Error responses over HTTP, as `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from adapters.errors import NacreError
from cluster.api.places import NOWHERE, Places
from cluster.wire.documents import Problem
from cluster.wire.problems import problem_document, status_of

RETRY_AFTER_S = 1

HTTP_TITLES = {413: "TooLargeError"}
"""Of refusals that are none of nacre's errors."""
TITLES = {
    400: "The request cannot be read.",
    401: "A token is missing or wrong.",
    403: "The token does not permit this.",
    404: "There is no such adapter, version, task or submission.",
    409: "Somebody else was first.",
    413: "The request is too large.",
    422: "The request must be changed.",
    429: "Too many requests wait; try again after the seconds of `Retry-After`.",
    503: "Try again later.",
    504: "The request took too long, or its outcome is unknown.",
}


def problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return how OpenAPI describes the errors of a route; every route may want a token."""
    return {
        code: {
            "description": TITLES[code],
            "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
        }
        for code in sorted({401, 403, *codes})
    }


def add_problems(api: FastAPI, places: Places = NOWHERE) -> None:
    """Let `api` answer every error with its status and its sentence, as `places` has it said."""

    async def answer(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, NacreError)
        return problem_of(places.error(error))

    api.add_exception_handler(NacreError, answer)
    api.add_exception_handler(RequestValidationError, _answer_invalid)
    api.add_exception_handler(HTTPException, _answer_http)


def problem(
    status: int, title: str, detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return an error document; what cannot be printed in `detail` is escaped, what is long cut."""
    return JSONResponse(
        problem_document(status, title, detail).model_dump(),
        status_code=status,
        headers=dict(headers or {}),
        media_type="application/problem+json",
    )


def problem_of(error: NacreError) -> JSONResponse:
    """Return the document of one of nacre's own errors."""
    status = status_of(error)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
    return problem(status, type(error).__name__, error.message, headers)


def problem_of_http(error: HTTPException) -> JSONResponse:
    """Return the document of a refusal by a status."""
    title = HTTP_TITLES.get(error.status_code, "HTTPException")
    return problem(error.status_code, title, str(error.detail), error.headers)


def sentence(errors: Sequence[Any]) -> str:
    """Return what Pydantic found, as a sentence."""
    return "; ".join(
        f"{'.'.join(map(str, entry['loc'])) or 'the request'}: {entry['msg']}" for entry in errors
    )


async def _answer_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return problem(422, "InputError", sentence(error.errors()))


async def _answer_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem_of_http(error)
