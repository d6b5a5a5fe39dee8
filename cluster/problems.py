"""Errors over HTTP, as `application/problem+json` (RFC 9457), and who may ask."""

import hmac
import os
from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from adapters.errors import (
    ConflictError,
    InputError,
    NacreError,
    NotFoundError,
    UnavailableError,
)
from cluster.answers import Problem
from cluster.config import TOKEN

STATUS: tuple[tuple[type[NacreError], int], ...] = (
    (NotFoundError, 404),
    (InputError, 422),
    (ConflictError, 409),
    (UnavailableError, 503),
)


def add_problems(api: FastAPI) -> None:
    """Let `api` answer every error of nacre with its status and its sentence."""
    api.add_exception_handler(NacreError, _answer)
    api.add_exception_handler(RequestValidationError, _answer_invalid)
    api.add_exception_handler(HTTPException, _answer_http)


def add_tokens(api: FastAPI) -> None:
    """Let `api` refuse requests without the bearer token, where NACRE_TOKEN is set."""
    api.middleware("http")(_authorise)


async def _answer(_: Request, error: Exception) -> JSONResponse:
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
    return problem(status, type(error).__name__, str(error))


async def _answer_invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = "; ".join(
        f"{'.'.join(map(str, entry['loc']))}: {entry['msg']}" for entry in error.errors()
    )
    return problem(422, "InputError", found)


async def _answer_http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, "HTTPException", str(error.detail), error.headers)


async def _authorise(
    request: Request, call_next: Callable[[Request], Awaitable[Response]]
) -> Response:
    token = os.environ.get(TOKEN)
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    open_to_all = not token or request.url.path.startswith("/v1/health")
    if open_to_all or hmac.compare_digest(given.encode(), str(token).encode()):
        return await call_next(request)
    detail = "expected a valid bearer token, found none or another"
    return problem(401, "Unauthorized", detail, {"WWW-Authenticate": "Bearer"})


def problem(
    status: int, title: str, detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return an error document."""
    content = Problem(title=title, status=status, detail=detail).model_dump()
    return JSONResponse(
        content,
        status_code=status,
        headers=dict(headers or {}),
        media_type="application/problem+json",
    )
