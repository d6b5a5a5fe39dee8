"""Asking the HTTP API, and turning its problem documents back into errors."""

import os
from typing import TypeVar

import httpx
from pydantic import BaseModel

from adapters import errors
from adapters.errors import (
    ConflictError,
    InputError,
    NacreError,
    NotFoundError,
    UnavailableError,
)
from cluster.config import TOKEN

TIMEOUT_S = 60.0
Answer = TypeVar("Answer", bound=BaseModel)


class HttpApi:
    """The API at one endpoint.

    Args:
        endpoint: Its scheme, host and port.
    """

    # Owns: nothing.

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint

    def ask(self, kind: type[Answer], verb: str, path: str, **arguments: object) -> Answer:
        """Send one request, and return its answer as a `kind`.

        Raises:
            UnavailableError: nothing answers, or something that is not nacre.
            NacreError: the error that the API has answered with.
        """
        response = self._request(verb, path, **arguments)
        try:
            return kind.model_validate_json(response.content)
        except ValueError as error:
            raise UnavailableError(
                f"expected an answer of nacre at {self._endpoint}, found {response.text[:80]!r}; "
                "is another service on that port?",
                endpoint=self._endpoint,
            ) from error

    def _request(self, verb: str, path: str, **arguments: object) -> httpx.Response:
        token = os.environ.get(TOKEN)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self._endpoint + path
        try:
            response = httpx.request(verb, url, headers=headers, timeout=TIMEOUT_S, **arguments)  # type: ignore[arg-type]
        except httpx.TransportError as error:
            raise UnavailableError(
                f"nothing answers at {self._endpoint} ({error}); start it with `nacre up`",
                endpoint=self._endpoint,
            ) from error
        if response.is_success:
            return response
        raise _refusal(response)


def _refusal(response: httpx.Response) -> NacreError:
    """Return the error that a problem document names, or the one that its status stands for."""
    try:
        title, detail = str(response.json()["title"]), str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        title, detail = "", f"the API answered {response.status_code}: {response.text[:200]}"
    named = getattr(errors, title, None)
    if isinstance(named, type) and issubclass(named, NacreError):
        return named(detail, status=response.status_code)
    by_status: dict[int, type[NacreError]] = {404: NotFoundError, 409: ConflictError}
    otherwise = InputError if response.status_code < 500 else UnavailableError
    return by_status.get(response.status_code, otherwise)(detail, status=response.status_code)
