"""Browsers: the cookies that they send, and requests that pages of others have them make.

A browser sends its cookies with whatever a page tells it to ask for. `SameSite=Strict` keeps it
from that for pages of other sites. Those of other hosts on the same site are left, so whatever
changes something in the name of a cookie must come from a page of this very host.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from adapters.errors import ForbiddenError
from cluster.config import LOOPBACK

SESSION = "nacre-session"
SAFE = "__Host-"
"""Before the name of a cookie: browsers take it from this host alone, and over TLS alone."""
LOOKING = ("GET", "HEAD", "OPTIONS")


def cookie_name(scope: Scope, name: str) -> str:
    """Return the name of a cookie as the browser of a request has it.

    On this machine without TLS, where not all browsers take safe ones, it has the port instead,
    because all ports of a machine share their cookies.
    """
    port = _plain_port(scope)
    return f"{SAFE}{name}" if port is None else f"{name}-{port}"


def cookie_of(scope: Scope, name: str) -> str:
    """Return the value of a cookie; empty where there is none."""
    wanted = cookie_name(scope, name)
    for line in Headers(scope=scope).getlist("cookie"):
        for pair in line.split(";"):
            found, _, value = pair.strip().partition("=")
            if found == wanted:
                return value
    return ""


def set_cookie(scope: Scope, answer: Response, name: str, value: str, *, age_s: int) -> None:
    """Have an answer set a cookie that only requests from pages of this site send, and no script.

    Args:
        scope: Of the request.
        answer: What is answered.
        name: Of the cookie.
        value: Of the cookie; empty to have it removed.
        age_s: For how long browsers keep it.
    """
    answer.set_cookie(
        cookie_name(scope, name),
        value,
        max_age=age_s if value else 0,
        secure=_plain_port(scope) is None,
        httponly=True,
        # What a login was begun with comes back with whoever the provider sends.
        samesite="strict" if name == SESSION else "lax",
    )


def check_comes_from_here(verb: str, headers: Headers) -> None:
    """Raise ForbiddenError unless a request that changes something comes from a page of this host.

    Args:
        verb: Of the request.
        headers: Of the request, among them those that browsers let no page choose.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin", "")
    from_here = (
        site == "same-origin"
        if site is not None
        else origin.partition("://")[2] == headers.get("host") != ""
    )
    if verb in LOOKING or from_here:
        return
    raise ForbiddenError(
        "expected a request from a page of this service, because a cookie says who asks, found "
        f"one from {site or origin or 'nowhere'!r}; where it is no browser that asks, send a token "
        "in the header `Authorization: Bearer …`"
    )


def _plain_port(scope: Scope) -> int | None:
    """Return the port of this machine where it is asked without TLS; None elsewhere."""
    try:
        asked = urlsplit(f"//{Headers(scope=scope).get('host', '')}")
        host, port = asked.hostname, asked.port or 80
    except ValueError:
        return None
    return port if scope.get("scheme") == "http" and host in LOOPBACK else None
