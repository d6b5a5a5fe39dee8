"""Error responses over HTTP, as `application/problem+json` (RFC 9457)."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from adapters.errors import WAIT, NacreError
from cluster.api.places import NOWHERE, Places
from cluster.wire.lasting import LINES
from cluster.wire.problems import (
    NO_ROUTE,
    Problem,
    error_document,
    how_to_look,
    problem_document,
    status_of,
)
from workers.formats.yaml_scalars import cut

RETRY_AFTER_S = 1
KINDS = {f"{before}{kind}" for before in ("", "constrained-") for kind in ("str", "int", "float")}
"""How Pydantic names the kinds that a value of several may have, behind its key."""

HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": str(RETRY_AFTER_S)}}
"""What answers of these statuses say beside the document."""
HTTP_TITLES = {413: "TooLargeError", 429: "LimitError", 503: "UnavailableError"}
"""Of refusals that are none of nacre's errors."""
LASTING = ("/verify", "/settle", "/purge", "/gc", "/evaluate", "/inspect")
"""Ends of paths whose answers may come in lines."""
TITLES = {
    400: "The request cannot be read.",
    401: "The token is missing or wrong, has expired or was revoked.",
    403: "The role of the token is not enough.",
    404: "There is no such adapter, version, task or submission.",
    409: "Somebody else was first.",
    413: "The request is too large.",
    422: "The request must be changed.",
    429: "A limit is reached, of whoever asks or of all; try again after the seconds of "
    "`Retry-After`.",
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
        for code in sorted({401, 403, 429, *codes})
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
    return _answer(problem_document(status, title, detail), headers)


def _answer(document: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(
        document.model_dump(),
        status_code=document.status,
        headers=dict(headers or {}),
        media_type="application/problem+json",
    )


def problem_of(error: NacreError) -> JSONResponse:
    """Return the document of one of nacre's own errors."""
    status, wait_s = status_of(error), error.fields.get(WAIT)
    headers = HEADERS.get(status, {}) if wait_s is None else {"Retry-After": str(wait_s)}
    return _answer(error_document(error), headers)


def late(verb: str, path: str, timeout_s: float) -> JSONResponse:
    """Return the answer to a request that was not answered within its time.

    Args:
        verb: Of the request.
        path: Of the request.
        timeout_s: Its time, in seconds.
    """
    said = f"the request was not answered within {timeout_s:g} s"
    if path.endswith(LASTING):
        said += f"; with `Accept: {LINES}` it is answered however long it takes"
    if verb in ("GET", "HEAD"):
        detail = f"{said}; the store may be slow or silent, `/v1/status` says what is wrong"
        return problem(503, "UnavailableError", detail, {"Retry-After": str(RETRY_AFTER_S)})
    if path.endswith(("/predict", "/embed", "/evaluate", "/inspect")):
        return problem(504, "DeadlineExceeded", said)
    return problem(504, "UnknownOutcomeError", f"{said}; {how_to_look(path)}")


def lost(verb: str, path: str) -> JSONResponse:
    """Return the answer to a request whose replica was lost while it answered."""
    said = "the replica that was answering was lost"
    if verb in ("GET", "HEAD") or path.endswith(("/predict", "/embed", "/evaluate")):
        return problem(503, "UnavailableError", f"{said}; ask again", HEADERS[503])
    return problem(504, "UnknownOutcomeError", f"{said}; {how_to_look(path)}")


def unreachable() -> JSONResponse:
    """Return the answer to a request that no replica has heard of."""
    detail = "no replica can be reached now; ask again, `nacre status` says which there are"
    return problem(503, "UnavailableError", detail, HEADERS[503])


def problem_of_http(error: HTTPException) -> JSONResponse:
    """Return the document of a refusal by a status."""
    title = HTTP_TITLES.get(error.status_code, "HTTPException")
    return problem(error.status_code, title, str(error.detail), error.headers)


def sentence(errors: Sequence[Any], known: Sequence[str] = ()) -> str:
    """Return what Pydantic found, as a sentence.

    Args:
        errors: As Pydantic tells them.
        known: The keys that are known where these are wrong.
    """
    told: dict[str, list[str]] = {}
    for entry in errors:
        place = _place(entry)
        said = told.setdefault(place, [])
        # Of a value that may be of several kinds there is one error for each of them.
        said.append(_told(entry, known).removeprefix(f"{place}: " if said else ""))
    return "; ".join(" or ".join(dict.fromkeys(said)) for said in told.values())


def _place(entry: Mapping[str, Any]) -> str:
    """Return the key that an error is about, without the kinds of value that were tried for it."""
    parts = [str(part) for part in entry["loc"] if part != "body"]
    return ".".join(part for part in parts if part not in KINDS)


def _told(entry: Mapping[str, Any], known: Sequence[str]) -> str:
    place = _place(entry)
    match entry["type"]:
        case "extra_forbidden":
            near = get_close_matches(place, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "leave it out"
            keys = f"; the known keys are {', '.join(known)}" if known else ""
            return f"unknown key {place[:60]!r}{keys}; {hint}"
        case "missing" if place:
            return f"expected the key {place!r}, found none"
        case _:
            return f"{place or 'the request'}: {entry['msg']}"


async def _answer_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    if any(tuple(entry["loc"]) == ("body",) for entry in errors):
        return problem(422, "InputError", _no_object(request, error.body))
    body = request.scope["route"].body_field
    known = getattr(body.field_info.annotation, "model_fields", ()) if body else ()
    return problem(422, "InputError", sentence(errors, list(known)))


def _no_object(request: Request, body: object) -> str:
    kind = request.headers.get("content-type", "")
    wanted = f"expected a JSON object as the body of {request.url.path}"
    if kind.partition(";")[0].strip().lower() == "application/json":
        return f"{wanted}, found {_kind_of(body)}"
    return f"{wanted} and the header Content-Type: application/json, found {cut(kind)!r}" + (
        "" if kind else " and no such header"
    )


def _kind_of(body: object) -> str:
    """Return what JSON calls a value that was sent; what is empty is read as None."""
    kinds = {list: "a list", str: "a text", bool: "true or false", int: "a number"}
    return {**kinds, float: "a number", dict: "one"}.get(type(body), "nothing or null")


def _allowed(request: Request, told: str) -> str:
    """Return the methods of all routes of a path; the framework tells those of the first alone."""
    methods = {each.strip() for each in told.split(",") if each.strip()}
    for path, verbs in request.app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"{[^}]*}", "[^/]+", path), request.url.path):
            methods |= {verb.upper() for verb in verbs}
    return ", ".join(sorted(methods))


async def _answer_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    path = cut(request.url.path)
    if (error.status_code, error.detail) == (404, "Not Found"):
        detail = f"there is no route {path!r}; /docs shows all of them"
        document = problem_document(404, "NotFoundError", detail).model_copy(
            update={"type": NO_ROUTE}
        )
        return _answer(document)
    if (error.status_code, error.detail) == (405, "Method Not Allowed"):
        allowed = _allowed(request, (error.headers or {}).get("Allow", ""))
        detail = f"{path} does not take {request.method}; expected {allowed}"
        return problem(405, "HTTPException", detail, {"Allow": allowed})
    return problem_of_http(error)
