"""HTTP middleware: who asks and whether they may, request ids, deadlines, access log.

A plain ASGI middleware: it adds a request id, finds out who asks, looks up what the route needs,
keeps the time, counts, logs and traces.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.errors import (
    ForbiddenError,
    InputError,
    LimitError,
    NacreError,
    UnauthorizedError,
    UnavailableError,
)
from cluster.api.access.allowances import Allowances
from cluster.api.access.browsers import SESSION, check_comes_from_here, cookie_of
from cluster.api.access.requesters import (
    NOBODY,
    OVER_HTTP,
    Access,
    Holders,
    NoSessions,
    NoTokens,
    Requesters,
    Sessions,
)
from cluster.api.access.routes import Asked, asked_for, is_open
from cluster.api.access.subjects import Subjects
from cluster.api.headers import is_usable
from cluster.api.limits import BodyLimits
from cluster.api.problems import late, problem, problem_of
from cluster.client.requester import Requester
from cluster.serving.metrics import Metrics
from cluster.wire.headers import REQUEST_ID, TIMEOUT_MS, TRACEPARENT
from workers.access.audit import LONGEST_REASON, AuditEntry, Outcome
from workers.formats.yaml_scalars import cut
from workers.queue.machine import EVERY_ADAPTER
from workers.traces.spans import Span, called_by, span, unkept
from workers.traces.traceparent import Traceparent

LEFT = 499
"""The status of a request whose client has left, as proxies log it."""
LOOKING = ("GET", "HEAD")
EARLY = 0.9
"""The part of its time after which a request that only looks is answered that it came too late."""
UNKNOWN_ROUTE = "unknown"
TIMEOUT_HEADER = "X-Request-Timeout-Ms"
MOST_DIGITS = 10

logger = logging.getLogger("nacre.requests")


@dataclass(frozen=True, kw_only=True, slots=True)
class Doors:
    """What decides who comes in.

    Attributes:
        access: The tokens of the environment, and how long a request may take.
        adapter: The adapter that answers where none is named.
        known: The named tokens.
        sessions: Of whoever has logged in.
        subjects: Whoever a provider vouches for; None where there is no provider.
        denied: Is told who was not let in.
        allowances: Say how much each requester may have under way.
    """

    access: Access
    adapter: str = "main"
    known: Holders = field(default_factory=NoTokens)
    sessions: Sessions = field(default_factory=NoSessions)
    subjects: Subjects | None = None
    denied: Callable[[AuditEntry], None] = lambda _: None
    allowances: Allowances = field(default_factory=Allowances)

    @property
    def requesters(self) -> Requesters:
        """What tells who asks."""
        return Requesters(self.access, self.known, subjects=self.subjects, sessions=self.sessions)


def add_access(api: FastAPI, doors: Doors, metrics: Metrics) -> None:
    """Let every request to `api` pass through `doors`, and then bodies up to their limits."""
    api.add_middleware(BodyLimits)
    api.add_middleware(_AccessMiddleware, doors=doors, metrics=metrics)


class _AccessMiddleware:
    def __init__(self, app: ASGIApp, *, doors: Doors, metrics: Metrics) -> None:
        self._app = app
        self._doors = doors
        self._access = doors.access
        self._requesters = doors.requesters
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        self._metrics.begun()
        request_id = _request_id(headers)

        caller = _caller(headers)
        called_by(caller)
        # A server may answer one request in the context of the one before on its connection. Probes
        # come every second, and nobody looks for where their time went.
        begins = caller is None
        opening = (
            unkept()
            if is_open(scope["path"])
            else span(scope["method"], parent=caller, alone=begins, request=request_id)
        )
        with opening as opened:
            await self._traced(scope, receive, send, request_id, opened)

    async def _traced(
        self, scope: Scope, receive: Receive, send: Send, request_id: str, opened: Span
    ) -> None:
        started, status, who = time.perf_counter(), 500, NOBODY
        headers, place = Headers(scope=scope), opened.place

        async def answering(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._access.says_id:
                    MutableHeaders(scope=message)[REQUEST_ID] = request_id
                if place is not None:
                    MutableHeaders(scope=message)[TRACEPARENT] = str(place)
            await send(message)

        try:
            state: dict[str, object] = scope.setdefault("state", {})
            requester = await self._let_in(headers, scope, request_id)
            state["requester"] = requester
            if isinstance(requester, NacreError):
                await problem_of(requester)(scope, receive, answering)
            else:
                who = requester.name
                await self._counted(who, headers, scope, receive, answering)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unknown")
            asked = scope["state"].get("asked")
            self._metrics.request(
                route, status, seconds, adapter=asked.adapter if asked else EVERY_ADAPTER
            )
            said = scope["state"].get("said", {})
            opened.rename(f"{scope['method']} {route}")
            opened.note(route=route, status=status, who=who, **said)
            if status >= 500:
                opened.fail(f"answered with {status}")
            logger.info(
                "request",
                extra={
                    **said,
                    "request_id": request_id,
                    "who": who,
                    "verb": scope["method"],
                    "route": route,
                    "status": status,
                    "ms": round(1000 * seconds, 1),
                },
            )

    async def _let_in(
        self, headers: Headers, scope: Scope, request_id: str
    ) -> Requester | NacreError:
        """Return who asks; where they are not let in, the error that says why."""
        if is_open(scope["path"]):
            return replace(OVER_HTTP, request_id=request_id)
        asked = asked_for(scope["method"], scope["path"], configured=self._doors.adapter)
        scope["state"]["asked"] = asked
        requester: Requester | None = None
        try:
            sent, session = headers.getlist("authorization"), cookie_of(scope, SESSION)
            requester = await self._requesters.of(sent, request_id, session=session)
            if session and not sent:
                check_comes_from_here(scope["method"], headers)
            if asked is not None:
                asked.check(requester)
        except (UnauthorizedError, ForbiddenError) as error:
            self._doors.denied(_denial(requester, asked, request_id, error))
            return error
        except UnavailableError as error:
            return error
        return requester

    async def _counted(
        self, who: str, headers: Headers, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer, unless whoever asks has as much under way as they may; probes are not counted."""
        if is_open(scope["path"]):
            await self._permitted(headers, scope, receive, send)
            return
        try:
            with self._doors.allowances.request(who):
                await self._permitted(headers, scope, receive, send)
        except LimitError as error:
            await problem_of(error)(scope, receive, send)

    async def _permitted(
        self, headers: Headers, scope: Scope, receive: Receive, send: Send
    ) -> None:
        try:
            timeout_s = _timeout_s(headers, self._access.timeout_s)
        except InputError as error:
            await problem_of(error)(scope, receive, send)
            return
        if scope["method"] in LOOKING:
            timeout_s *= EARLY  # whoever waits no longer than it says shall hear why
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(timeout_s) as deadline:
                scope["state"]["deadline"] = deadline
                await self._app(scope, receive, noting)
        except TimeoutError:
            if begun:
                raise
            await late(scope["method"], scope["path"], timeout_s)(scope, receive, send)
        except ClientDisconnect:
            if not begun:  # nobody hears it; counted and logged as what it was
                detail = "the client has left before it was answered"
                await problem(LEFT, "ClientDisconnect", detail)(scope, receive, send)
        except Exception:
            logger.exception("a request broke")
            if begun:
                raise
            detail = "this is a fault of the service; its log says more, see the request id"
            await problem(500, "InternalError", detail)(scope, receive, send)


def _denial(
    requester: Requester | None, asked: Asked | None, request_id: str, error: NacreError
) -> AuditEntry:
    """Return what the audit log says of somebody who was not let in."""
    who = requester or replace(OVER_HTTP, name=NOBODY, request_id=request_id)
    verb = asked.need.verb if asked else UNKNOWN_ROUTE
    # Whoever is not known names whatever they like.
    named = (asked.adapter, asked.target) if asked and requester else (EVERY_ADAPTER, "")
    reason = error.message[:LONGEST_REASON]
    return replace(who.entry(verb, *named), outcome=Outcome.DENIED, reason=reason)


def _caller(headers: Headers) -> Traceparent | None:
    """Return the span that a request is a part of; None where it says none, or nothing usable."""
    sent = headers.getlist(TRACEPARENT)
    return Traceparent.read(sent[0]) if len(sent) == 1 else None


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID, "")
    return given if is_usable(given) else secrets.token_hex(8)


def _timeout_s(headers: Headers, longest_s: float) -> float:
    asked = headers.get(TIMEOUT_MS)
    if asked is None:
        return longest_s
    if not (asked.isascii() and asked.isdecimal() and asked.strip("0")):
        raise InputError(
            f"expected whole milliseconds from 1 in the header {TIMEOUT_HEADER}, found "
            f"{cut(asked)!r}; leave it out to wait for {longest_s:g} s"
        )
    return min(longest_s, int(asked) / 1000) if len(asked) < MOST_DIGITS else longest_s
