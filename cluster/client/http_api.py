"""HTTP transport of the clients: one retry loop for blocking callers, one for event loops."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx

from adapters.errors import NotFoundError, SettingsError
from cluster.client.attempts import Attempts, kind_of
from cluster.client.remote.address import checked_token
from cluster.client.remote.call import Answer, Call
from cluster.config import LOOPBACK, PREDICT_TOKEN, TOKEN, token_in
from cluster.wire.headers import TRACEPARENT
from cluster.wire.lasting import LINES, LastingLine
from cluster.wire.problems import NO_ROUTE
from workers.traces.spans import here

AMBIENT = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
NOT_FOUND = 404
SILENT_S = 30.0
"""An answer in lines has one every two seconds; after so long without one it is lost."""
Http = TypeVar("Http", httpx.Client, httpx.AsyncClient)


class HttpApi:
    """The API at one endpoint. Safe between threads.

    Args:
        endpoint: Its scheme, host and port, and the path that it is behind.
        token: What is sent with every request; that of the environment where None.
        is_here: Whether it is what `nacre up` starts on this machine.
    """

    # Owns: the connections.

    def __init__(self, endpoint: str, *, token: str | None = None, is_here: bool = False) -> None:
        self._endpoint, self._token, self._is_here = endpoint, token, is_here
        self._client = connected(httpx.Client, endpoint)

    def ask(self, call: Call[Answer], *, timeout_s: float | None = None) -> Answer:
        """Send a call until it is answered or its time is over, and return the answer.

        Args:
            call: What is asked.
            timeout_s: Seconds for all attempts, instead of the call's own.

        Raises:
            UnavailableError: nothing answers, or something that is not nacre.
            UnknownOutcomeError: what was to be changed may be, and no answer says so.
            NacreError: the error that the API has answered with.
        """
        found = self._asked(call, timeout_s)
        further = call.further(found)
        while further is not None:
            more = self._asked(further, timeout_s)
            found, further = [*found, *more], further.further(more)
        return call.becomes(found)

    def _asked(self, call: Call[Answer], timeout_s: float | None) -> Any:
        attempts = Attempts(
            call,
            self._endpoint,
            timeout_s=timeout_s or call.timeout_s,
            is_here=self._is_here,
        )
        with call.opened() as opened:
            while True:
                sent = arguments(call, attempts, opened, self._token)
                try:
                    with self._client.stream(call.verb, call.path, **sent) as response:
                        if response.is_success:
                            with attempts.reading(response.headers) as reading:
                                for piece in response.iter_bytes():
                                    reading.take(piece)
                                return reading.answer()
                        response.read()
                except httpx.TransportError as error:
                    wait_s = attempts.after_error(error)
                else:
                    if is_missing(call, response):
                        return call.missing
                    wait_s = attempts.after_refusal(response)
                time.sleep(wait_s)

    def lines(self, call: Call[Any]) -> Generator[LastingLine]:
        """Yield the lines of an answer as they come; fewer, or none, where they cannot be had."""
        sent = following(call, self._endpoint, self._token)
        with (
            suppress(httpx.TransportError, ValueError),
            self._client.stream(call.verb, call.path, **sent) as response,
        ):
            if is_in_lines(response):
                for text in response.iter_lines():
                    yield LastingLine.model_validate_json(text)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()


class AsyncHttpApi:
    """The same for an event loop, to which it belongs.

    Args:
        endpoint: Its scheme, host and port, and the path that it is behind.
        token: What is sent with every request; that of the environment where None.
        is_here: Whether it is what `nacre up` starts on this machine.
    """

    # Owns: the connections.

    def __init__(self, endpoint: str, *, token: str | None = None, is_here: bool = False) -> None:
        self._endpoint, self._token, self._is_here = endpoint, token, is_here
        self._client = connected(httpx.AsyncClient, endpoint)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def ask(self, call: Call[Answer], *, timeout_s: float | None = None) -> Answer:
        """Do as `HttpApi.ask` does."""
        found = await self._asked(call, timeout_s)
        further = call.further(found)
        while further is not None:
            more = await self._asked(further, timeout_s)
            found, further = [*found, *more], further.further(more)
        return call.becomes(found)

    async def _asked(self, call: Call[Answer], timeout_s: float | None) -> Any:
        attempts = Attempts(
            call,
            self._endpoint,
            timeout_s=timeout_s or call.timeout_s,
            is_here=self._is_here,
        )
        with ExitStack() as stack:
            opened = await asyncio.to_thread(stack.enter_context, call.opened())
            while True:
                sent = arguments(call, attempts, opened, self._token)
                try:
                    async with self._client.stream(call.verb, call.path, **sent) as response:
                        if response.is_success:
                            with attempts.reading(response.headers) as reading:
                                async for piece in response.aiter_bytes():
                                    reading.take(piece)
                                return reading.answer()
                        await response.aread()
                except httpx.TransportError as error:
                    wait_s = attempts.after_error(error)
                else:
                    if is_missing(call, response):
                        return call.missing
                    wait_s = attempts.after_refusal(response)
                await asyncio.sleep(wait_s)

    async def lines(self, call: Call[Any]) -> AsyncGenerator[LastingLine]:
        """Do as `HttpApi.lines` does."""
        sent = following(call, self._endpoint, self._token)
        with suppress(httpx.TransportError, ValueError):
            async with self._client.stream(call.verb, call.path, **sent) as response:
                if is_in_lines(response):
                    async for text in response.aiter_lines():
                        yield LastingLine.model_validate_json(text)


def connected(kind: Callable[..., Http], endpoint: str) -> Http:
    """Return a client of `endpoint` of that kind.

    Loopback is asked without the proxies of the environment: what runs on this machine does not lie
    behind one, and the token is not for it.

    Raises:
        SettingsError: a variable of the environment cannot be used; its name is said.
    """
    local = urlsplit(endpoint).hostname in LOOPBACK
    try:
        return kind(base_url=endpoint, trust_env=not local)
    except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
        there = [name for name in AMBIENT for name in (name, name.lower()) if name in os.environ]
        raise SettingsError(
            f"{endpoint} cannot be reached with the proxies and certificates that the "
            f"environment names ({error}); correct or remove {', '.join(there) or 'it'}",
            variables=tuple(there),
        ) from error


def arguments(
    call: Call[Answer],
    attempts: Attempts[Answer],
    opened: Mapping[str, object],
    token: str | None,
) -> dict[str, Any]:
    """Return what httpx is to send with the next attempt."""
    said = headers() if token is None else bearer(token)
    return {
        **call.arguments,
        **opened,
        "headers": {"Accept": call.accepts, **said, **traced(), **attempts.headers},
        "timeout": attempts.left_s,
    }


def following(call: Call[Any], endpoint: str, token: str | None) -> dict[str, Any]:
    """Return what httpx is to send for an answer that comes line by line, however long it takes."""
    once = Attempts(call, endpoint, timeout_s=call.timeout_s)
    return arguments(call, once, {}, token) | {"timeout": SILENT_S}


def is_in_lines(response: httpx.Response) -> bool:
    """Return whether an answer comes in lines."""
    return response.is_success and response.headers.get("content-type", "").startswith(LINES)


def is_missing(call: Call[Answer], response: httpx.Response) -> bool:
    """Return whether a call's answer says that there is no such thing, and that is an answer."""
    if call.missing is None or response.status_code != NOT_FOUND:
        return False
    # Where there is no such route the address is wrong, and nothing is known of what was asked for.
    return kind_of(response) is NotFoundError and response.json().get("type") != NO_ROUTE


def headers() -> dict[str, str]:
    """Return the headers of every request: the token of the environment, if there is one."""
    for variable in (TOKEN, PREDICT_TOKEN):
        if token := token_in(os.environ, variable):
            return bearer(checked_token(token, variable))
    return {}


def traced() -> dict[str, str]:
    """Return the header that says which span a request is a part of, where it is of one."""
    place = here()
    return {} if place is None else {TRACEPARENT: str(place)}


def bearer(token: str) -> dict[str, str]:
    """Return the header that sends a token."""
    return {"Authorization": f"Bearer {token}"}
