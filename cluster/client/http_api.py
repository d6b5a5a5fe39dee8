"""HTTP transport of the clients: one retry loop for blocking callers, one for event loops."""

import asyncio
import os
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import httpx

from adapters.errors import SettingsError
from cluster.client.attempts import Answer, Attempts, Call
from cluster.config import LOOPBACK, PREDICT_TOKEN, TOKEN
from cluster.wire.headers import TIMEOUT_S

AMBIENT = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")
Http = TypeVar("Http", httpx.Client, httpx.AsyncClient)


class HttpApi:
    """The API at one endpoint. Safe between threads.

    Args:
        endpoint: Its scheme, host and port.
    """

    # Owns: the connections.

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._client = connected(httpx.Client, endpoint)

    def ask(self, call: Call[Answer], *, timeout_s: float = TIMEOUT_S) -> Answer:
        """Send a call until it is answered or its time is over, and return the answer.

        Raises:
            UnavailableError: nothing answers, or something that is not nacre.
            NacreError: the error that the API has answered with.
        """
        attempts = Attempts(call, self._endpoint, timeout_s=timeout_s)
        while True:
            try:
                response = self._client.request(call.verb, call.path, **arguments(call, attempts))  # type: ignore[arg-type]
            except httpx.TransportError as error:
                wait_s = attempts.after_error(error)
            else:
                if response.is_success:
                    return attempts.answer(response)
                wait_s = attempts.after_refusal(response)
            time.sleep(wait_s)

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()


class AsyncHttpApi:
    """The same for an event loop, to which it belongs.

    Args:
        endpoint: Its scheme, host and port.
    """

    # Owns: the connections.

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
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

    async def ask(self, call: Call[Answer], *, timeout_s: float = TIMEOUT_S) -> Answer:
        """Do as `HttpApi.ask` does."""
        attempts = Attempts(call, self._endpoint, timeout_s=timeout_s)
        while True:
            try:
                response = await self._client.request(
                    call.verb,
                    call.path,
                    **arguments(call, attempts),  # type: ignore[arg-type]
                )
            except httpx.TransportError as error:
                wait_s = attempts.after_error(error)
            else:
                if response.is_success:
                    return attempts.answer(response)
                wait_s = attempts.after_refusal(response)
            await asyncio.sleep(wait_s)


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


def arguments(call: Call[Answer], attempts: Attempts[Answer]) -> dict[str, object]:
    """Return what httpx is to send with the next attempt."""
    return {
        **call.arguments,
        "headers": {**headers(), **attempts.headers},
        "timeout": attempts.left_s,
    }


def headers() -> dict[str, str]:
    """Return the headers of every request: the token, if there is one."""
    token = os.environ.get(TOKEN) or os.environ.get(PREDICT_TOKEN)
    return {"Authorization": f"Bearer {token}"} if token else {}
