"""Requesters over HTTP: who asks, by the token that they send.

Two tokens come from the environment, and count while the service runs; the named ones are kept in
the store.
"""

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from adapters.errors import UnauthorizedError
from cluster.client.requester import HTTP, Requester
from cluster.config import EVERYBODY, PREDICT_TOKEN, TOKEN
from workers.access.roles import EVERYTHING, AccessRole, Grants
from workers.access.tokens import PREFIX, NamedToken
from workers.queue.machine import EVERY_ADAPTER

OVER_HTTP = Requester(name=EVERYBODY, grants=EVERYTHING, road=HTTP)
"""Who asks over HTTP where there are no tokens to tell people apart."""
CHANGE = Requester(name="token:change", grants=EVERYTHING, road=HTTP)
PREDICT = Requester(
    name="token:predict",
    grants=Grants(roles={EVERY_ADAPTER: AccessRole.ASKER}),
    road=HTTP,
    contact="whoever runs this service",
)
NOBODY = "unknown"
"""Stands in the audit log for whoever has no token that counts."""
ASK = "ask an admin of this service for one (`nacre token create`)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """Who may do what, and how long.

    Attributes:
        change_token: Of who may do everything; None lets everybody.
        predict_token: Of who may ask and look; None where there is no such role.
        timeout_s: Longest time of a request, in seconds.
        says_id: Whether answers carry the id of their request; not where what stands in front of
            the application adds it, as Serve does.
    """

    change_token: str | None = None
    predict_token: str | None = None
    timeout_s: float = 60.0
    says_id: bool = True

    @classmethod
    def of(
        cls, environment: Mapping[str, str], *, timeout_s: float, says_id: bool = True
    ) -> "Access":
        """Return the access that `environment` says."""
        return cls(
            change_token=environment.get(TOKEN) or None,
            predict_token=environment.get(PREDICT_TOKEN) or None,
            timeout_s=timeout_s,
            says_id=says_id,
        )

    def of_environment(self, token: str) -> Requester | None:
        """Return who sends a token of the environment; None where it is none of these."""
        # Both are compared, whichever it is.
        changes, asks = _same(token, self.change_token), _same(token, self.predict_token)
        if changes:
            return CHANGE
        return PREDICT if asks and self.change_token is not None else None


class Holders(Protocol):
    """What knows the named tokens."""

    async def holder(self, secret: str) -> NamedToken | None:
        """Return the token of a secret; None where nobody knows it."""


class NoTokens:
    """Where there is no store with named tokens."""

    async def holder(self, secret: str) -> NamedToken | None:  # noqa: ARG002
        """Return None."""
        return None


class Requesters:
    """Tells who asks.

    Args:
        access: The tokens of the environment.
        known: The named ones.
        clock: Gives seconds since the epoch.
    """

    # Owns: nothing.

    def __init__(
        self, access: Access, known: Holders, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._access = access
        self._known = known
        self._clock = clock

    async def of(self, authorization: str, request_id: str) -> Requester:
        """Return who has sent a request.

        Args:
            authorization: The header of that name.
            request_id: Of the request.

        Raises:
            UnauthorizedError: nobody knows them; the sentence says why, and whom to ask.
            UnavailableError: nobody can tell, because the store is away.
        """
        return replace(await self._of(authorization), request_id=request_id)

    async def _of(self, authorization: str) -> Requester:
        scheme, _, given = authorization.partition(" ")
        token = given.strip() if scheme.lower() == "bearer" else ""
        known = self._access.of_environment(token)
        if known is not None:
            return known
        if token.startswith(PREFIX):
            return await self._of_named(token)
        if self._access.change_token is None:
            return OVER_HTTP
        found = "another one, or a part of one" if token else "none"
        raise UnauthorizedError(
            "expected a valid token of this service in the header `Authorization: Bearer …`, found "
            f"{found}; {ASK}"
        )

    async def _of_named(self, token: str) -> Requester:
        found = await self._known.holder(token)
        if found is None:
            raise UnauthorizedError(
                "expected a valid token of this service, found one that nobody knows: it was "
                f"mistyped, is for another service, or ended long ago; {ASK}"
            )
        found.check(now=self._clock())
        return Requester(
            name=f"token:{found.name}",
            grants=found.grants,
            road=HTTP,
            contact=f"{found.created_by}, who made this token, or another admin",
        )


def _same(given: str, token: str | None) -> bool:
    return token is not None and hmac.compare_digest(given.encode(), token.encode())
