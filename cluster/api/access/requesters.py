"""Requesters over HTTP: who asks, by the token or the session that they send.

Two tokens come from the environment, and count while the service runs; the named ones are kept in
the store, and signed ones come from a provider. A session is what a login with one of the latter
two has left in a browser.
"""

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from adapters.errors import UnauthorizedError
from cluster.api.access.subjects import Subjects
from cluster.client.requester import HTTP, Requester
from cluster.config import EVERYBODY, OIDC_SECRET, PREDICT_TOKEN, TOKEN, token_in
from cluster.provider.signed_tokens import is_signed
from cluster.wire.headers import LONGEST_TOKEN
from workers.access.roles import EVERYTHING, AccessRole, Grants
from workers.access.sessions import Session
from workers.access.subjects import Subject
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
        provider_secret: What the service shows the provider of logins; None where it has none.
        timeout_s: Longest time of a request, in seconds.
        says_id: Whether answers carry the id of their request; not where what stands in front of
            the application adds it, as Serve does.
    """

    change_token: str | None = None
    predict_token: str | None = None
    provider_secret: str | None = None
    timeout_s: float = 60.0
    says_id: bool = True

    @classmethod
    def of(
        cls, environment: Mapping[str, str], *, timeout_s: float, says_id: bool = True
    ) -> "Access":
        """Return the access that `environment` says."""
        return cls(
            change_token=token_in(environment, TOKEN),
            predict_token=token_in(environment, PREDICT_TOKEN),
            provider_secret=token_in(environment, OIDC_SECRET),
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

    async def of_digest(self, sha256: str) -> NamedToken | None:
        """Return the token whose secret has this digest; None where there is none."""


class Sessions(Protocol):
    """What knows the sessions."""

    async def holder(self, secret: str) -> Session | None:
        """Return the session of a secret; None where nobody knows it."""


class NoTokens:
    """Where there is no store with named tokens."""

    async def holder(self, secret: str) -> NamedToken | None:  # noqa: ARG002
        """Return None."""
        return None

    async def of_digest(self, sha256: str) -> NamedToken | None:  # noqa: ARG002
        """Return None."""
        return None


class NoSessions:
    """Where nobody can log in."""

    async def holder(self, secret: str) -> Session | None:  # noqa: ARG002
        """Return None."""
        return None


class Requesters:
    """Tells who asks.

    Args:
        access: The tokens of the environment.
        known: The named ones.
        subjects: Whoever a provider vouches for; None where there is no provider.
        sessions: Of whoever has logged in; None where nobody can.
        clock: Gives seconds since the epoch.
    """

    # Owns: nothing.

    def __init__(
        self,
        access: Access,
        known: Holders,
        *,
        subjects: Subjects | None = None,
        sessions: Sessions | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._access = access
        self._known = known
        self._subjects = subjects
        self._sessions = sessions or NoSessions()
        self._clock = clock

    async def of(
        self, authorization: list[str], request_id: str, *, session: str = ""
    ) -> Requester:
        """Return who has sent a request.

        Args:
            authorization: The headers of that name.
            request_id: Of the request.
            session: The secret of a session, which counts where there is no such header.

        Raises:
            UnauthorizedError: nobody knows them; the sentence says why, and whom to ask.
            UnavailableError: nobody can tell, because store or provider is away.
        """
        by_session = session and not authorization
        found = self._of_session(session) if by_session else self._of(authorization)
        return replace(await found, request_id=request_id)

    async def _of(self, authorization: list[str]) -> Requester:
        # Of several, none: what stands in front of the service may have looked at another one.
        scheme, _, given = ("" if len(authorization) > 1 else "".join(authorization)).partition(" ")
        token = given.strip() if scheme.lower() == "bearer" else ""
        if len(token) > LONGEST_TOKEN:
            raise UnauthorizedError(
                f"expected a token of at most {LONGEST_TOKEN} characters in the header "
                f"`Authorization`, found {len(token)}; where a provider has made it, have it name "
                "fewer groups in its tokens"
            )
        known = self._access.of_environment(token)
        if known is not None:
            return known
        if token.startswith(PREFIX):
            return self._of_named(await self._known.holder(token))
        if self._subjects is not None and is_signed(token):
            return await self._subjects.of(token)
        if self._access.change_token is None and self._subjects is None:
            return OVER_HTTP
        found = "another one, or a part of one" if token else "none"
        if len(authorization) > 1:
            found = f"{len(authorization)} headers of that name, of which one must be sent alone"
        raise UnauthorizedError(
            "expected a valid token of this service in the header `Authorization: Bearer …`, found "
            f"{found}; {ASK}"
        )

    async def _of_session(self, secret: str) -> Requester:
        session = await self._sessions.holder(secret)
        if session is None or not session.counts(now=self._clock()):
            raise UnauthorizedError(
                "expected a session that counts, found one that was ended or is older than 8 "
                "hours; log in again at /login"
            )
        if session.token:
            return self._of_named(await self._known.of_digest(session.token))
        if self._subjects is None:
            raise UnauthorizedError(
                f"expected a named token, found the session of {session.who!r}, whose provider "
                "this service does not ask any more; log in again at /login"
            )
        return self._subjects.requester(Subject(name=session.subject, groups=session.groups))

    def _of_named(self, found: NamedToken | None) -> Requester:
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
