"""HTTP transport of the clients: one retry loop for blocking callers, one for event loops."""

import asyncio
import os
import time
from types import TracebackType
from typing import Self

import httpx

from cluster.client.attempts import Answer, Attempts, Call
from cluster.config import PREDICT_TOKEN, TOKEN
from cluster.wire.headers import TIMEOUT_S


class HttpApi:
    """The API at one endpoint. Safe between threads.

    Args:
        endpoint: Its scheme, host and port.
    """

    # Owns: the connections.

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._client = httpx.Client(base_url=endpoint)

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
        self._client = httpx.AsyncClient(base_url=endpoint)

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
