"""Answers of Serve itself, where a replica was lost: they are said as everything else is."""

import logging

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.api.problems import lost, unreachable

logger = logging.getLogger("nacre.api")
OF_SERVE = "/-/"
"""Below it Serve answers probes, which look at the status alone."""
STATUSES = (404, 500, 503)
"""The API answers every path, so that one of which Serve knows nothing is one it has not heard of
yet, as a proxy that has just started."""


class LostAnswers:
    """ASGI middleware that puts a document in the place of Serve's own errors.

    Args:
        app: What it stands in front of.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back where that is not of Serve itself."""
        if scope["type"] != "http" or scope["path"].startswith(OF_SERVE):
            await self._app(scope, receive, send)
            return
        begun = replaced = False

        async def watched(message: Message) -> None:
            nonlocal begun, replaced
            begun = True
            if message["type"] == "http.response.start" and is_of_serve(message):
                replaced = True
                verb, path = scope["method"], scope["path"]
                answer = lost(verb, path) if message["status"] == 500 else unreachable()
                await answer(scope, receive, send)
            elif not replaced:
                await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if begun:
                raise
            logger.warning("%s %s lost its replica", scope["method"], scope["path"], exc_info=True)
        if not begun:  # Serve's proxy ends so when the replica has died
            await lost(scope["method"], scope["path"])(scope, receive, send)


def is_of_serve(start: Message) -> bool:
    """Return whether an answer that begins so is an error of Serve: it says them as plain text."""
    kind = Headers(raw=start.get("headers", [])).get("content-type", "")
    return start["status"] in STATUSES and kind.startswith("text/plain")
