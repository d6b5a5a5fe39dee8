"""The entrance of the console: sessions and tokens as of the API, and forms of its own pages.

A plain ASGI middleware. Whoever is not known is sent to the login; whatever changes something must
come from a page of this host, and has the token of the form in it.
"""

import asyncio
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adapters.errors import WAIT, ForbiddenError, LimitError, NacreError, UnauthorizedError
from cluster.api.access.browsers import (
    LOOKING,
    SESSION,
    check_comes_from_here,
    cookie_of,
)
from cluster.api.access.requesters import NOBODY, OVER_HTTP
from cluster.api.access.routes import CALLBACK, LOGIN, LOGOUT, START
from cluster.api.login_pages import later_page, refused_page
from cluster.api.middleware import Doors
from cluster.client.requester import CONSOLE, Requester
from cluster.config import EVERYBODY, LOOPBACK
from cluster.console.shown.rendering import PREFIX
from cluster.wire.problems import status_of
from workers.access.audit import LONGEST_REASON, Outcome
from workers.queue.machine import EVERY_ADAPTER

STATIC, EVENTS = f"{PREFIX}/static/", f"{PREFIX}/events"
FOR_EVERYBODY = (LOGIN, START, CALLBACK, LOGOUT)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}
SEE = 303
WAITS_S, LOOKED_S = 10.0, 0.05
"""So long a request that looks waits until whoever sent it has room for one more, and how often
that is looked for: a browser asks for all pictures of a page at once."""

logger = logging.getLogger("nacre.console")


@dataclass(frozen=True, kw_only=True, slots=True)
class Visitor:
    """Whoever has come in.

    Attributes:
        requester: Who.
        csrf: What each of their forms must send.
        logged_in: Whether a session says who they are.
    """

    requester: Requester
    csrf: str
    logged_in: bool


class Entrance:
    """Lets people in to the pages of an application.

    Args:
        app: The pages.
        doors: Decide who comes in.
        unnamed: Who somebody is where nobody can be told apart; as over HTTP where None.
        end: Ends what open pages listen to.
        clock: Gives seconds that never go back.
    """

    # Owns: the key of forms, which is new with each process.

    def __init__(
        self,
        app: ASGIApp,
        *,
        doors: Doors,
        unnamed: Requester | None,
        end: Callable[[], Awaitable[None]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.end = end
        self._clock = clock
        self._app = app
        self._doors = doors
        self._unnamed = unnamed or replace(OVER_HTTP, road=CONSOLE)
        self._key = secrets.token_bytes(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass a request on with its visitor in `state`."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope = {**scope, "path": _path(scope), "root_path": ""}
        scope["raw_path"] = scope["path"].encode()
        state = scope.setdefault("state", {})
        request_id = secrets.token_hex(8)
        path, headers = scope["path"], Headers(scope=scope)
        state["requester"] = replace(OVER_HTTP, request_id=request_id, road=CONSOLE)
        if path in FOR_EVERYBODY:
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    found[name] = value
                found.setdefault("Cache-Control", "no-store")
            await send(message)

        if path.startswith(STATIC):
            await self._app(scope, receive, guarded)
            return
        try:
            visitor = await self.visitor(scope, request_id)
        except NacreError as error:
            self._note(error, scope, request_id)
            answer = (
                RedirectResponse(f"{LOGIN}?next={quote(_onward(scope), safe='')}", SEE)
                if isinstance(error, UnauthorizedError)
                and scope["method"] in LOOKING
                and "authorization" not in headers
                else refused_page(wrong=error.message, status=status_of(error))
            )
            await answer(scope, receive, guarded)
            return
        state["visitor"], state["requester"] = visitor, visitor.requester
        if path == EVENTS:  # lasts as long as a page is open; `MOST_VIEWERS` bounds them
            await self._app(scope, receive, guarded)
            return
        try:
            async with self._counted(visitor.requester.name, scope["method"]):
                await self._app(scope, receive, guarded)
        except LimitError as error:
            wait_s = str(error.fields.get(WAIT, 1))
            await later_page(wrong=error.message, wait_s=wait_s)(scope, receive, guarded)

    @asynccontextmanager
    async def _counted(self, who: str, method: str) -> AsyncIterator[None]:
        """Count a request as under way within this; one that looks waits for room.

        Raises:
            LimitError: there is none.
        """
        until = self._clock() + (WAITS_S if method in LOOKING else 0.0)
        with ExitStack() as counted:
            while True:
                try:
                    counted.enter_context(self._doors.allowances.request(who))
                    break
                except LimitError:
                    if self._clock() >= until:
                        raise
                await asyncio.sleep(LOOKED_S)
            yield

    async def visitor(self, scope: Scope, request_id: str = "") -> Visitor:
        """Return who has sent a request.

        Raises:
            UnauthorizedError: nobody knows them.
            ForbiddenError: the request is made by a page of another host.
            UnavailableError: nobody can tell, because store or provider is away.
        """
        headers = Headers(scope=scope)
        sent, session = headers.getlist("authorization"), cookie_of(scope, SESSION)
        requester = await self._doors.requesters.of(sent, request_id, session=session)
        if requester.name == EVERYBODY:
            _check_host(headers)
            requester = replace(self._unnamed, request_id=request_id)
        if not sent:
            check_comes_from_here(scope["method"], headers)
        message = f"{session}\0{requester.name}".encode()
        return Visitor(
            requester=replace(requester, road=CONSOLE),
            csrf=hmac.new(self._key, message, hashlib.sha256).hexdigest(),
            logged_in=bool(session),
        )

    def _note(self, error: NacreError, scope: Scope, request_id: str) -> None:
        """Have the audit log say that somebody was not let in who had shown something."""
        headers = Headers(scope=scope)
        shown = headers.get("authorization") or cookie_of(scope, SESSION)
        if isinstance(error, ForbiddenError) or (isinstance(error, UnauthorizedError) and shown):
            who = replace(OVER_HTTP, name=NOBODY, road=CONSOLE, request_id=request_id)
            entry = who.entry("console", EVERY_ADAPTER)
            reason = error.message[:LONGEST_REASON]
            self._doors.denied(replace(entry, outcome=Outcome.DENIED, reason=reason))


def is_of_form(visitor: Visitor, given: str) -> bool:
    """Return whether a form was made for a visitor."""
    return hmac.compare_digest(visitor.csrf.encode(), given.encode())


def _path(scope: Scope) -> str:
    """Return the path of a request with the prefix, which what stands in front may have cut."""
    path = str(scope["path"])
    below = path in ("", "/") or path in FOR_EVERYBODY or path.startswith(PREFIX)
    return path if below or not scope.get("root_path") else f"{PREFIX}{path}"


def _onward(scope: Scope) -> str:
    query = scope.get("query_string", b"").decode("ascii", "replace")
    return f"{scope['path']}?{query}" if query else str(scope["path"])


def _check_host(headers: Headers) -> None:
    """Raise ForbiddenError where nobody needs a token and the page is asked for by another name.

    A page elsewhere can have its own name lead to this machine; the browser then takes both for one
    host, and only the name tells them apart.
    """
    host = headers.get("host", "").rpartition("]")[0].lstrip("[") or headers.get("host", "")
    if host.partition(":")[0] not in LOOPBACK and host not in LOOPBACK:
        raise ForbiddenError(
            f"expected the console to be asked for as 127.0.0.1 or localhost, found {host[:80]!r}; "
            "set NACRE_TOKEN, so that people log in, to serve it under another name"
        )
