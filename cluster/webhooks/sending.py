"""Signed requests to webhooks, as Standard Webhooks has them; no redirect is followed."""

import asyncio
import base64
import secrets
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property

import httpcore
import httpx
from standardwebhooks import Webhook as Signing

from adapters.errors import InputError
from cluster.webhooks.connecting import NotPermittedError, PermittedNetwork, UnknownNameError
from cluster.webhooks.permitted import Permitted
from cluster.wire.events import event_document
from workers.webhooks.sender import Answer, Parcel
from workers.webhooks.webhook import Secret

TIMEOUT_S = 10.0
SECRET_BYTES = 32
GONE = 410
BUSY = frozenset({408, 425, 429, 502, 503, 504})
"""What says that nothing can be taken now, and nothing of what was sent."""


def new_secret() -> str:
    """Return a secret as receivers are given it."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}"


class HttpSender:
    """Sends events. Belongs to one event loop.

    Each request has a connection of its own, and of the answer nothing is read but its head.

    Args:
        permitted: Where events may be sent.
        timeout_s: How long a request may take, from resolving the name to the head of the answer.
    """

    # Owns: the certificates of authorities, read once.

    def __init__(self, permitted: Permitted, *, timeout_s: float = TIMEOUT_S) -> None:
        self._permitted = permitted
        self._timeout_s = timeout_s

    async def send(self, parcel: Parcel) -> Answer:
        """See `Sender`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return _answer(*await self._posted(parcel))
        except TimeoutError:
            return Answer(said=f"it did not answer within {self._timeout_s:g} s")
        except InputError as error:
            return Answer(said=error.message)
        except UnknownNameError:
            return Answer(said="the name of its host cannot be resolved")
        except NotPermittedError as error:
            return Answer(
                said=f"its host has the inner address {error}, which is not permitted: name its "
                "network under `events: inner:` in the configuration if events may go there"
            )
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            return Answer(said=_said(error))

    async def _posted(self, parcel: Parcel) -> tuple[int, dict[str, str]]:
        """Return the status of the answer, and its headers by their names in lower case."""
        url = self._permitted.url(parcel.url)
        body = event_document(parcel.milestone, parcel.sequence).model_dump_json(by_alias=True)
        headers: dict[bytes | str, bytes | str] = {
            "Host": url.netloc.decode("ascii"),
            "User-Agent": "nacre",
            "Content-Type": "application/json",
            **signed(parcel.milestone.id, body, parcel.secrets, now=parcel.now),
        }
        network = PermittedNetwork(self._permitted)
        async with (
            httpcore.AsyncConnectionPool(self._certificates, network_backend=network) as pool,
            pool.stream(
                "POST",
                httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=headers,
                content=body.encode(),
            ) as response,
        ):
            found = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in response.headers
            }
            return response.status, found

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()


def signed(
    event_id: str, body: str, keys: Sequence[Secret], *, now: float
) -> dict[bytes | str, bytes | str]:
    """Return the headers that say which event `body` is, and that it comes from here.

    Args:
        event_id: The same on every try.
        body: What is sent.
        keys: Each of them signs.
        now: When it is sent, in seconds since the epoch.
    """
    at = datetime.fromtimestamp(int(now), tz=UTC)
    signatures = (Signing(key.value).sign(event_id, at, body) for key in keys)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": " ".join(signatures),
    }


def _answer(status: int, headers: dict[str, str]) -> Answer:
    if 200 <= status < 300:
        return Answer(said=f"it answered {status}", status=status, delivered=True)
    if 300 <= status < 400:
        said = f"it answered {status}, a redirect, which is not followed: register the new address"
        return Answer(said=said, status=status, refused=True)
    if status == GONE:
        said = "it answered 410 Gone: it wants no more events"
        return Answer(said=said, status=status, gone=True)
    after = headers.get("retry-after", "")
    wait_s = float(after) if after.isdecimal() and len(after) < 10 else 0.0
    return Answer(
        said=f"it answered {status}", status=status, refused=status not in BUSY, wait_s=wait_s
    )


def _said(error: Exception) -> str:
    causes = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    for found in causes:
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {found.verify_message}"
        if isinstance(found, ssl.SSLError):
            return "no secure connection can be made: TLS fails"
        if isinstance(found, ConnectionRefusedError):
            return "it cannot be reached: the connection is refused"
    if isinstance(error, httpcore.ConnectError):
        return "it cannot be reached"
    if isinstance(error, httpcore.ProtocolError):
        return "it answered something that is no HTTP"
    return "it broke the connection off without an answer"
