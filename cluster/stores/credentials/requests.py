"""Asking for credentials: requests of minio's providers, bounded in time and bytes.

The providers repeat requests, wait without an end, and put what they sent into their errors. Here
each request is sent once, along no redirect, and what came of it is kept, so that a sentence can be
made of it which has no token in it.
"""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from urllib.parse import urlsplit

import certifi
import urllib3

from cluster.stores.credentials.errors import NotGivenError
from cluster.stores.flows.flow import Flow, FlowLimits, SilenceError
from cluster.stores.flows.sockets import flowing_pools

CONNECT_S = 1.0
SILENT_S = 3.0
"""How long who gives credentials may be silent, in seconds."""
MOST_BYTES = 2**18
"""Of an answer; credentials have some two thousand."""
_CODE = re.compile(rb"<Code>([A-Za-z.]{1,80})</Code>|\"[Cc]ode\"\s*:\s*\"([A-Za-z.]{1,80})\"")
_FORM = "application/x-www-form-urlencoded"
_PASSING = frozenset({"IDPCommunicationError", "Throttling", "ThrottlingException"})
"""Codes of answers below 500 after which the same request may work."""


class Asking:
    """Sends the requests of one provider, as an `urllib3.PoolManager` would.

    Args:
        silent_s: How long the other side may be silent, in seconds.
        connect_s: How long a connection may take, in seconds.
    """

    # Owns: connections, and what came of the latest request. Used by one thread.

    def __init__(self, *, silent_s: float = SILENT_S, connect_s: float = CONNECT_S) -> None:
        limits = FlowLimits.of(silent_s)
        self._pools = flowing_pools(
            lambda: Flow(limits, tell=_nobody),
            timeout=urllib3.Timeout(connect=connect_s),
            retries=False,
            ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
        )
        self.asked = ""
        self.date: datetime | None = None

    def urlopen(
        self,
        method: str,
        url: str,
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> urllib3.HTTPResponse:
        """Return the answer to one request.

        Raises:
            NotGivenError: there is none that could be credentials.
        """
        parts = urlsplit(url)
        self.asked = f"{parts.scheme}://{parts.netloc}"
        if method == "POST" and parts.query and body is None:
            # Addresses end in logs, on the way and at their end; a token belongs into a body.
            url, body = url.partition("?")[0], parts.query
            headers = {**(headers or {}), "Content-Type": _FORM}
        try:
            found = self._pools.urlopen(
                method, url, body=body, headers=headers, redirect=False, preload_content=False
            )
            data = found.read(MOST_BYTES + 1)
            found.close()
        except (urllib3.exceptions.HTTPError, HTTPException, OSError) as error:
            raise NotGivenError(self._unanswered(error), passes=True) from None
        self.date = _date_of(found.headers.get("Date"))
        if len(data) > MOST_BYTES:
            raise NotGivenError(
                f"{self.asked} answers with more than {MOST_BYTES} bytes, which are no "
                "credentials: check the address",
                passes=True,
            )
        if found.status not in (200, 204, 206):
            raise self._refused(found.status, data)
        return urllib3.HTTPResponse(body=data, headers=found.headers, status=found.status)

    def close(self) -> None:
        """Close the connections."""
        self._pools.clear()

    def _refused(self, status: int, data: bytes) -> NotGivenError:
        code = _CODE.search(data)
        name = (code[1] or code[2]).decode() if code else ""
        said = f"{self.asked} gives no credentials: it answers {status}{f' {name}' * bool(name)}"
        passes = status >= 500 or status in (408, 429) or name in _PASSING
        if passes:
            return NotGivenError(f"{said}; try again later", passes=True)
        return NotGivenError(f"{said}; {_remedy(name)}", passes=False)

    def _unanswered(self, error: Exception) -> str:
        what = "does not answer in time" if _is_silence(error) else "cannot be reached"
        return (
            f"{self.asked}, which is to give credentials, {what}: check that it runs and that "
            "nothing is in the way"
        )


def _is_silence(error: BaseException | None) -> bool:
    """Return whether it was waited in vain; urllib3 calls a refused connection a time-out, too."""
    while error is not None and not isinstance(error, urllib3.exceptions.NewConnectionError):
        if isinstance(error, (TimeoutError, SilenceError, urllib3.exceptions.TimeoutError)):
            return True
        error = error.__cause__ or error.__context__
    return False


def _remedy(code: str) -> str:
    if code.startswith("ExpiredToken"):
        return "the token that it was shown has expired: see that its file is written anew"
    if code in ("InvalidIdentityToken", "AccessDenied"):
        return "let the role trust who shows the token"
    return "check the role and the address"


def _date_of(header: str | None) -> datetime | None:
    """Return what an answer says of the time."""
    try:
        found = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _nobody() -> None:
    """Tell nobody that it is waited."""
