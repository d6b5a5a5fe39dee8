"""HTTP middleware: authentication by token, request ids, deadlines, access log.

A plain ASGI middleware: it adds a request id, tells by the token who asks, keeps the time, counts
and logs.
"""

import asyncio
import hmac
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.api.headers import is_usable
from cluster.api.limits import BodyLimits
from cluster.api.problems import late, problem
from cluster.client.requester import Requester
from cluster.config import PREDICT_TOKEN, TOKEN
from cluster.serving.metrics import Metrics
from cluster.wire.headers import REQUEST_ID, TIMEOUT_MS

LEFT = 499
"""The status of a request whose client has left, as proxies log it."""
OPEN = ("/v1/health/",)
ASKING = ("/predict", "/embed")
LOOKING = ("GET", "HEAD")
EARLY = 0.9
"""The part of its time after which a request that only looks is answered that it came too late."""
OVER_HTTP = Requester(name="http")
"""Who asks over HTTP where there are no tokens to tell people apart."""
CHANGE = Requester(name="token:change")
PREDICT = Requester(name="token:predict")

logger = logging.getLogger("nacre.requests")


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Who may do what, and how long.

    Attributes:
        change_token: Of who may do everything; None lets everybody.
        predict_token: Of who may ask and look; None where there is no such role.
        timeout_s: Longest time of a request, in seconds.
        says_id: Whether answers carry the id of their request; not where what stands in front of
            the application adds it, as Serve does.
    """

    change_token: str | None = None
    predict_token: str | None = None
    timeout_s: float = 60.0
    says_id: bool = True

    @classmethod
    def of(
        cls, environment: Mapping[str, str], *, timeout_s: float, says_id: bool = True
    ) -> "Access":
        """Return the access that `environment` says."""
        return cls(
            change_token=environment.get(TOKEN) or None,
            predict_token=environment.get(PREDICT_TOKEN) or None,
            timeout_s=timeout_s,
            says_id=says_id,
        )

    def requester(self, authorization: str) -> Requester | None:
        """Return who asks, by the token; None where it is missing or wrong."""
        if self.change_token is None:
            return OVER_HTTP
        scheme, _, given = authorization.partition(" ")
        given = given.strip() if scheme.lower() == "bearer" else ""
        if _same(given, self.change_token):
            return CHANGE
        return PREDICT if _same(given, self.predict_token) else None

    def refusal(self, verb: str, path: str, requester: Requester | None) -> Response | None:
        """Return the answer to a request that is not permitted; None where it is."""
        if path.startswith(OPEN):
            return None
        if requester is None:
            detail = "expected a valid bearer token, found none or another"
            return problem(401, "Unauthorized", detail, {"WWW-Authenticate": "Bearer"})
        asks = verb in LOOKING or (verb == "POST" and path.endswith(ASKING))
        if asks or requester != PREDICT:
            return None
        detail = "this token permits to ask and to look; what changes something needs the other one"
        return problem(403, "Forbidden", detail)


def add_access(api: FastAPI, access: Access, metrics: Metrics) -> None:
    """Let every request to `api` pass through `access`, and then bodies up to their limits."""
    api.add_middleware(BodyLimits)
    api.add_middleware(_AccessMiddleware, access=access, metrics=metrics)


class _AccessMiddleware:
    def __init__(self, app: ASGIApp, *, access: Access, metrics: Metrics) -> None:
        self._app = app
        self._access = access
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        headers = Headers(scope=scope)
        request_id = _request_id(headers)

        async def answering(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._access.says_id:
                    MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        try:
            await self._permitted(headers, scope, receive, answering)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(scope.get("route"), "path", "unknown")
            self._metrics.request(route, status, seconds)
            logger.info(
                "request",
                extra={
                    "request_id": request_id,
                    "verb": scope["method"],
                    "route": route,
                    "status": status,
                    "ms": round(1000 * seconds, 1),
                },
            )

    async def _permitted(
        self, headers: Headers, scope: Scope, receive: Receive, send: Send
    ) -> None:
        requester = self._access.requester(headers.get("authorization", ""))
        refusal = self._access.refusal(scope["method"], scope["path"], requester)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        scope.setdefault("state", {})["requester"] = requester
        timeout_s = _timeout_s(headers, self._access.timeout_s)
        if scope["method"] in LOOKING:
            timeout_s *= EARLY  # whoever waits no longer than it says shall hear why
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(timeout_s):
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


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID, "")
    return given if is_usable(given) else secrets.token_hex(8)


def _timeout_s(headers: Headers, longest_s: float) -> float:
    asked = headers.get(TIMEOUT_MS, "")
    return min(longest_s, int(asked) / 1000) if asked.isdecimal() and len(asked) < 10 else longest_s


def _same(given: str, token: str | None) -> bool:
    return token is not None and hmac.compare_digest(given.encode(), token.encode())
