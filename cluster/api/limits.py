"""Limits of request bodies: how many bytes each route takes, and all requests together.

What says beforehand that it is too long is refused before any of it is read; what says nothing,
because it comes in chunks, is refused at the first byte too many. Bodies that are held in memory
have a limit together, too: what comes over it is asked to come again. No requester may hold more
than half of that, so that slow uploads of one keep nobody else's out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.api.problems import problem_of_http
from cluster.config import EVERYBODY

KIB, MIB = 2**10, 2**20
MULTIPART = "multipart/form-data"
HELD_BYTES = 256 * MIB
"""Most bytes of all bodies that one process holds at once: two of the largest, or many pictures."""
RETRY_AFTER_S = 1
_MOST_DIGITS = 18


@dataclass(frozen=True, kw_only=True, slots=True)
class BodyLimit:
    """What one kind of route takes.

    Attributes:
        path: A pattern of the paths of these routes.
        form_bytes: Most bytes of a multipart form; its files go to the disk as they come.
        other_bytes: Most bytes of any other body, which is held in memory.
        hint: What to do about more.
        held_forms: Whether the files of its forms are read into memory as well.
    """

    path: re.Pattern[str]
    form_bytes: int
    other_bytes: int
    hint: str
    held_forms: bool = True


LIMITS = (
    BodyLimit(
        path=re.compile(r"/v1/(adapters/[^/]+/predict|predict|embed)"),
        form_bytes=128 * MIB,
        other_bytes=128 * MIB,
        hint="send fewer or smaller images",
    ),
    BodyLimit(
        path=re.compile(r"/v1/tasks(/inspect)?"),
        form_bytes=2048 * MIB,
        other_bytes=MIB,
        held_forms=False,
        hint="put large sets of images into the object store, and send a short task file",
    ),
    BodyLimit(
        path=re.compile(r"/v1/adapters/[^/]+/import"),
        form_bytes=2048 * MIB,
        other_bytes=64 * KIB,
        held_forms=False,
        hint="import larger files with `nacre import`, where the object store can be reached",
    ),
    # Moves of aliases, and whatever reads no body at all.
    BodyLimit(
        path=re.compile(r".*", re.DOTALL),
        form_bytes=64 * KIB,
        other_bytes=64 * KIB,
        hint="send what this route takes",
    ),
)


def limit_of(path: str, limits: Sequence[BodyLimit] = LIMITS) -> BodyLimit:
    """Return the limit of the route that answers at `path`."""
    return next(limit for limit in limits if limit.path.fullmatch(path))


def is_form(content_type: str) -> bool:
    """Return whether a body of this type is a multipart form."""
    return content_type.partition(";")[0].strip().lower() == MULTIPART


class BodyLimits:
    """ASGI middleware that holds limits.

    Args:
        app: What it stands in front of.
        held_bytes: Most bytes of all bodies in memory.
        limits: The first that fits a path counts; the last fits every path.
    """

    # Owns: how many bytes are held, in all and of each requester; belongs to one event loop.

    def __init__(
        self,
        app: ASGIApp,
        held_bytes: int = HELD_BYTES,
        limits: Sequence[BodyLimit] = LIMITS,
    ) -> None:
        self._app = app
        self._limits = limits
        self._most_held = held_bytes
        self._held = 0
        self._held_of: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 or 503, or let the application read up to the limits."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, limit = Headers(scope=scope), limit_of(scope["path"], self._limits)
        form = is_form(headers.get("content-type", ""))
        most = limit.form_bytes if form else limit.other_bytes
        said = headers.get("content-length", "").strip().lstrip("0")
        if said.isdecimal() and (len(said) > _MOST_DIGITS or int(said) > most):
            await problem_of_http(_too_large(most, limit.hint))(scope, receive, send)
            return
        counted = _counted(receive, most=most, hint=limit.hint)
        if form and not limit.held_forms:
            await self._app(scope, counted, send)
            return
        holding = _Holding(who=_who(scope))
        try:
            await self._app(scope, self._holding(counted, holding), send)
        finally:
            self._note(holding, -holding.size_bytes)

    def _holding(self, receive: Receive, holding: "_Holding") -> Receive:
        """Return `receive` as long as all bodies together have room."""

        async def held() -> Message:
            message = await receive()
            size_bytes = len(message.get("body", b""))
            if size_bytes and self._held + size_bytes > self._most_held:
                raise HTTPException(
                    503,
                    f"expected the bodies of all requests to have at most {self._most_held} bytes "
                    "at once, found more; send this one again",
                    {"Retry-After": str(RETRY_AFTER_S)},
                )
            own = self._held_of.get(holding.who, 0) + size_bytes
            if holding.who != EVERYBODY and size_bytes and own > self._most_held // 2:
                raise HTTPException(
                    429,
                    f"expected the bodies of all requests of {holding.who!r} to have at most "
                    f"{self._most_held // 2} bytes at once here, found more; send this one again "
                    f"after {RETRY_AFTER_S} s, and fewer at once",
                    {"Retry-After": str(RETRY_AFTER_S)},
                )
            self._note(holding, size_bytes)
            return message

        return held

    def _note(self, holding: "_Holding", more: int) -> None:
        """Note that so many more bytes of a body are held, or less."""
        holding.size_bytes += more
        self._held += more
        left = self._held_of.pop(holding.who, 0) + more
        if left:
            self._held_of[holding.who] = left


@dataclass(slots=True)
class _Holding:
    """How many bytes of one body are held, and whose it is."""

    who: str
    size_bytes: int = 0


def _who(scope: Scope) -> str:
    """Return who sends a body; everybody where nobody has found that out."""
    requester = scope.get("state", {}).get("requester")
    return EVERYBODY if requester is None else str(requester.name)


def _counted(receive: Receive, *, most: int, hint: str) -> Receive:
    """Return `receive` up to so many bytes; further ones are an HTTPException of status 413."""
    read = 0

    async def counted() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > most:
            # FastAPI makes a 400 of every other exception while it reads a body.
            raise _too_large(most, hint)
        return message

    return counted


def _too_large(most: int, hint: str) -> HTTPException:
    return HTTPException(413, f"expected a body of at most {most} bytes, found more; {hint}")
