"""Error responses over HTTP, as `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from adapters.errors import (
    ConflictError,
    InputError,
    NacreError,
    NotFoundError,
    UnavailableError,
    UnknownOutcomeError,
    printable,
)
from cluster.api.places import NOWHERE, Places
from cluster.wire.documents import Problem

RETRY_AFTER_S = 1
LONGEST_DETAIL = 8_000
"""Characters; what is wrong with a thousand labels need not be said a thousand times."""

STATUS: tuple[tuple[type[NacreError], int], ...] = (
    (NotFoundError, 404),
    (InputError, 422),
    (ConflictError, 409),
    (UnknownOutcomeError, 504),
    (UnavailableError, 503),
)
HTTP_TITLES = {413: "TooLargeError", 503: "UnavailableError"}
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
    detail = printable(detail)
    if len(detail) > LONGEST_DETAIL:
        detail = f"{detail[:LONGEST_DETAIL]}…"
    content = Problem(title=title, status=status, detail=detail).model_dump()
    return JSONResponse(
        content,
        status_code=status,
        headers=dict(headers or {}),
        media_type="application/problem+json",
    )


def problem_of(error: NacreError) -> JSONResponse:
    """Return the document of one of nacre's own errors."""
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else None
    return problem(status, type(error).__name__, error.message, headers)


def late(verb: str, path: str, timeout_s: float) -> JSONResponse:
    """Return the answer to a request that was not answered within its time.

    Args:
        verb: Of the request.
        path: Of the request.
        timeout_s: Its time, in seconds.
    """
    said = f"the request was not answered within {timeout_s:g} s"
    if verb in ("GET", "HEAD"):
        detail = f"{said}; the store may be slow or silent, `/v1/status` says what is wrong"
        return problem(503, "UnavailableError", detail, {"Retry-After": str(RETRY_AFTER_S)})
    if path.endswith(("/predict", "/embed")):
        return problem(504, "DeadlineExceeded", said)
    if path == "/v1/tasks":
        how = (
            "the task may be accepted all the same: look for its name with `nacre status` or GET "
            "/v1/tasks/NAME before anything else; sent again, the same task finds its submission"
        )
    else:
        how = "it may be done all the same: look with `nacre history` or `nacre status` first"
    return problem(504, "UnknownOutcomeError", f"{said}; {how}")


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
