"""Headers that come in: ids of requests that could spoil a log are dropped before Serve sees them.

Serve puts the id of a request on its answer, however long it is; where there is none it makes one.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from cluster.api.lost_answers import LostAnswers
from cluster.wire.headers import REQUEST_ID

LONGEST_ID = 128


def is_usable(request_id: str) -> bool:
    """Return whether an id may go into a log and back to whoever sent it."""
    return 0 < len(request_id) <= LONGEST_ID and request_id.isascii() and request_id.isprintable()


class UsableIds:
    """ASGI middleware that drops the ids of requests that are not usable.

    Args:
        app: What it stands in front of.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, without an id that is not usable."""
        if scope["type"] == "http" and not all(
            map(is_usable, Headers(scope=scope).getlist(REQUEST_ID))
        ):
            scope = {**scope, "headers": list(scope["headers"])}
            del MutableHeaders(scope=scope)[REQUEST_ID]
        await self._app(scope, receive, send)


def in_front_of_serve() -> list[Middleware]:
    """Return what Serve is to put in front of its proxy, and of replicas behind HAProxy."""
    return [Middleware(UsableIds), Middleware(LostAnswers)]
