"""Questions to a provider over HTTP, whose answers are JSON, bounded in size and time."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from adapters.contract.json_reading import read_json
from adapters.errors import UnavailableError, printable
from cluster.config import LOOPBACK, is_private

TIMEOUT_S = 5.0
MOST_BYTES = 256 * 2**10
Fields = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a provider has answered.

    Attributes:
        status: Of the answer.
        fields: Of its JSON object.
    """

    status: int
    fields: Fields = field(default_factory=dict)


class Connecting:
    """Asks a provider. Belongs to one event loop.

    No redirect is followed: a provider that was taken over could lead to addresses that only this
    service reaches.

    Args:
        timeout_s: How long one question may take, to the end of its answer.
    """

    # Owns: the certificates of authorities, read once.

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s

    async def get(self, url: str) -> Fields:
        """Return the JSON object at an address.

        Raises:
            UnavailableError: there is none now.
        """
        return (await self._asked("GET", url)).fields

    async def post(
        self, url: str, form: Mapping[str, str], *, auth: tuple[str, str] | None
    ) -> Answer:
        """Return what is answered to a form.

        Args:
            url: Where it goes.
            form: What it says.
            auth: Name and password of this service; None for none.

        Raises:
            UnavailableError: nothing is answered, or nothing that is a JSON object.
        """
        return await self._asked("POST", url, form, auth)

    async def _asked(
        self,
        verb: str,
        url: str,
        form: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
    ) -> Answer:
        shown = printable(url)
        if not is_private(url):
            raise UnavailableError(f"{shown} is no https:// address, and nothing else is asked")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._answered(verb, url, form, auth)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise UnavailableError(
                f"{shown} did not answer within {self._timeout_s:g} s"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, ImportError, OSError) as error:
            raise UnavailableError(f"{shown} cannot be asked ({printable(str(error))})") from error

    async def _answered(
        self,
        verb: str,
        url: str,
        form: Mapping[str, str] | None,
        auth: tuple[str, str] | None,
    ) -> Answer:
        local = urlsplit(url).hostname in LOOPBACK
        async with (
            httpx.AsyncClient(
                verify=self._certificates, trust_env=not local, timeout=self._timeout_s
            ) as client,
            client.stream(
                verb,
                url,
                data=form,
                auth=auth,
                # What is compressed could be much larger than what was sent.
                headers={"Accept": "application/json", "Accept-Encoding": "identity"},
                follow_redirects=False,
            ) as response,
        ):
            if response.has_redirect_location:
                raise UnavailableError(
                    f"{printable(url)} answered {response.status_code}, a redirect, which is not "
                    "followed"
                )
            if verb == "GET" and response.status_code != HTTPStatus.OK:
                raise UnavailableError(f"{printable(url)} answered {response.status_code}")
            if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                return Answer(status=response.status_code)
            content = bytearray()
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > MOST_BYTES:
                    raise UnavailableError(
                        f"{printable(url)} answered more than {MOST_BYTES} bytes"
                    )
        return Answer(status=response.status_code, fields=_object(bytes(content), url))

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()


def _object(content: bytes, url: str) -> Fields:
    try:
        found = read_json(content)
    except ValueError as error:
        raise UnavailableError(f"{printable(url)} answered what is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UnavailableError(f"{printable(url)} answered what is no JSON object")
    return found
