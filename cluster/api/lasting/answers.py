"""Answers of lasting verbs, which go on in threads of their own, for whoever still waits.

Whoever accepts `application/x-ndjson` is told in lines how far the verb is, one at least every two
seconds, and at last its answer or the error that has ended it. Whoever does not waits for the
answer as of any other route, within the time of the request.
"""

import asyncio
import json
import logging
import threading
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fastapi import HTTPException, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic_core import to_jsonable_python
from starlette.types import Receive, Scope, Send

from adapters.errors import InputError, NacreError, UnavailableError
from cluster.api.leaving import while_awaited
from cluster.api.places import NOWHERE, Places
from cluster.api.problems import problems
from cluster.api.schemas import inlined_schema
from cluster.wire.lasting import LINES, Kind, LastingLine, LastingProgress
from cluster.wire.problems import error_document, problem_document

MOST = 4
"""Lasting verbs of one replica at once."""
LONGEST_S = 6 * 3600.0
"""So long one may take, with whatever is sent before."""
LOOKED_S, SIGN_S = 0.1, 2.0
"""How often is looked how far one is, and how often that is said where nothing has moved."""
RETRY_AFTER_S = 5
PIECE_BYTES = 3 * 2**16
"""Of a file in one line."""
FAULT = "this is a fault of the service; its log says more, see the request id"

Result = TypeVar("Result")
logger = logging.getLogger("nacre.requests")


class Watch:
    """Stands between who carries out a verb and who waits for it. Safe between threads.

    Attributes:
        latest: How far it is.
    """

    # Owns: how far it is, whether anybody waits, and what ends it where nobody does.

    def __init__(self) -> None:
        self.latest = LastingProgress(what="", done=0, total=0)
        self._left = threading.Event()
        self._end: Callable[[], object] = _nothing

    def progress(self, done: int, total: int) -> None:
        """Note how far it is; `step` of the verb itself."""
        self.step("", done, total)

    def step(self, what: str, done: int, total: int) -> None:
        """Note how far it is.

        Raises:
            UnavailableError: nobody waits for it any more.
        """
        self.check()
        self.latest = LastingProgress(what=what, done=done, total=total)

    def check(self) -> None:
        """Raise UnavailableError where nobody waits any more."""
        if self._left.is_set():
            raise UnavailableError("whoever asked has left, and what was asked for was ended")

    def when_left(self, end: Callable[[], object]) -> None:
        """Have `end` called when nobody waits any more; at once where that is so."""
        self._end = end
        if self._left.is_set():
            end()

    def leave(self) -> None:
        """Say that nobody waits any more."""
        self._left.set()
        self._end()


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What a lasting verb has come to.

    Attributes:
        document: Its answer.
        files: What belongs to it, by name; whoever has asked for lines alone is given them.
    """

    document: Any
    files: Mapping[str, bytes] = field(default_factory=dict)


class Counted:
    """Counts what is served at once. Belongs to one event loop.

    Args:
        most: How many at once; one more is asked to come again.
    """

    # Owns: how many there are.

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0

    def begin(self) -> Callable[[], None]:
        """Count one more, and return what counts it no more.

        Raises:
            HTTPException: of status 429; there are so many.
        """
        if self._count >= self._most:
            raise too_many(self._most)
        self._count += 1
        return self._end

    def _end(self) -> None:
        self._count -= 1


class LastingCalls:
    """Carries out lasting verbs.

    Args:
        places: What stands for the service's own places in errors.
        most: How many at once; one more is asked to come again.
    """

    # Owns: the threads, and how many of them are free.

    def __init__(self, places: Places = NOWHERE, *, most: int = MOST) -> None:
        self._places = places
        self._most = most
        self._threads = ThreadPoolExecutor(most, "lasting")
        self._free = threading.BoundedSemaphore(most)

    async def answer(self, request: Request, work: Callable[[Watch], Done]) -> Response:
        """Return the answer to a request whose body was read: in lines, or when all is done.

        Args:
            request: Says which of them.
            work: Carries out the verb.

        Raises:
            HTTPException: of status 429; so many are carried out already.
            ClientDisconnect: the client has left.
            NacreError: as `work` does, where the answer is not in lines.
        """
        if accepts_lines(request):
            begun = self.begin(work)
            goes_on(request)
            return line_response(self._lines(begun), begun.watch.leave)
        done = await self.result(request, work)
        if done.files:
            raise InputError(
                f"expected the header `Accept: {LINES}`, without which files cannot be answered"
            )
        return JSONResponse(to_jsonable_python(done.document))

    async def result(
        self,
        request: Request,
        work: Callable[[Watch], Result],
        *,
        unused: Callable[[Result], object] = lambda _: None,
    ) -> Result:
        """Return what `work` returns, as long as somebody waits for it.

        Args:
            request: Its body was read.
            work: What is done, in a thread.
            unused: Called with its result where nobody waits any more.

        Raises:
            HTTPException: of status 429; so much is done already.
            ClientDisconnect: the client has left.
        """
        begun = self.begin(work)
        try:
            return await while_awaited(request, _shielded(begun.working))
        except BaseException:
            begun.watch.leave()
            begun.working.add_done_callback(lambda working: _dropped(working, unused))
            raise

    def begin(self, work: Callable[[Watch], Result]) -> "Begun[Result]":
        """Begin `work` in a thread, for whoever tells themselves how far it is.

        Raises:
            HTTPException: of status 429; so much is done already.
        """
        if not self._free.acquire(blocking=False):
            raise too_many(self._most)
        watch = Watch()

        def carried_out() -> Result:
            try:
                return work(watch)
            finally:
                self._free.release()

        working = asyncio.wrap_future(self._threads.submit(carried_out))
        working.add_done_callback(lambda done: done.cancelled() or done.exception())
        return Begun(working=working, watch=watch)

    async def _lines(self, begun: "Begun[Done]") -> AsyncIterator[bytes]:
        watch, at = begun.watch, 0.0
        told: LastingProgress | None = None
        while not begun.working.done():
            if watch.latest != told or time.monotonic() - at >= SIGN_S:
                told, at = watch.latest, time.monotonic()
                yield line("progress", told)
            await asyncio.wait({begun.working}, timeout=LOOKED_S)
        if watch.latest != told:
            yield line("progress", watch.latest)
        for last in self._ended(begun.working):
            yield last

    def _ended(self, working: "asyncio.Future[Done]") -> Iterator[bytes]:
        """Yield what is said of a verb that has ended: files and its answer, or an error."""
        try:
            done = working.result()
        except NacreError as error:
            yield line("error", error_document(self._places.error(error)))
        except Exception:
            logger.exception("a request broke")
            yield line("error", problem_document(500, "InternalError", FAULT))
        else:
            for name, content in done.files.items():
                for start in range(0, len(content), PIECE_BYTES):
                    data = b64encode(content[start : start + PIECE_BYTES]).decode()
                    yield line("file", {"name": name, "data": data})
            yield line("result", done.document)


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun(Generic[Result]):
    """A lasting verb that is under way.

    Attributes:
        working: What becomes of it.
        watch: How far it is; its `leave` says that nobody waits any more.
    """

    working: "asyncio.Future[Result]"
    watch: Watch


class EndingResponse(StreamingResponse):
    """An answer that comes in pieces, and of whose end somebody wants to know.

    Args:
        content: The pieces.
        ended: Called when all were sent, or the client has left.
        media_type: Of the content.
        headers: Of the answer.
    """

    def __init__(
        self,
        content: AsyncIterator[bytes],
        ended: Callable[[], object],
        *,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(content, media_type=media_type, headers=headers)
        self._when_ended = ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the pieces."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._when_ended()


def line_response(lines: AsyncIterator[bytes], ended: Callable[[], object]) -> EndingResponse:
    """Return an answer in lines; `ended` is called in the end, or when the client has left."""
    # Proxies that hold back what is small would hold back the signs of life.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return EndingResponse(lines, ended, media_type=LINES, headers=headers)


def accepts_lines(request: Request) -> bool:
    """Return whether whoever asks wants an answer in lines."""
    accepted = request.headers.get("accept", "").split(",")
    return LINES in (each.partition(";")[0].strip().lower() for each in accepted)


def goes_on(request: Request) -> None:
    """Let a request last as long as a lasting verb may."""
    request.state.deadline.reschedule(asyncio.get_running_loop().time() + LONGEST_S)


def line(kind: Kind, document: Any) -> bytes:
    """Return a line that says `document` of that kind."""
    return json.dumps({kind: to_jsonable_python(document)}).encode() + b"\n"


def in_lines(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return how OpenAPI describes the answers of a lasting verb, and its errors."""
    described = {
        "description": f"The answer; with `Accept: {LINES}` in lines, with its progress.",
        "content": {LINES: {"schema": inlined_schema(LastingLine)}},
    }
    return {200: described, **problems(*codes, 422, 429, 503)}


def too_many(most: int) -> HTTPException:
    """Return that so many are served already."""
    return HTTPException(
        429,
        f"expected at most {most} calls that take long at once in one replica, found as many under "
        "way; ask again later",
        {"Retry-After": str(RETRY_AFTER_S)},
    )


async def _shielded(working: "asyncio.Future[Result]") -> Result:
    """Return what comes of `working`, which goes on where nobody waits for this any more."""
    return await asyncio.shield(working)


def _dropped(working: "asyncio.Future[Result]", unused: Callable[[Result], object]) -> None:
    if not working.cancelled() and working.exception() is None:
        unused(working.result())


def _nothing() -> None:
    pass
