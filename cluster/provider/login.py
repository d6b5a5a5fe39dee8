"""Logins with a provider: authorization code flow of OpenID Connect, with PKCE, state and nonce."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

import httpx

from adapters.errors import UnauthorizedError, UnavailableError, printable
from cluster.config import LoginConfig, OidcConfig, is_private
from cluster.provider.connecting import Connecting
from cluster.provider.known_provider import KnownProvider
from cluster.provider.signed_tokens import SignedTokens
from workers.access.sessions import new_secret
from workers.access.subjects import Subject, subject_of

CALLBACK = "/login/callback"
AGAIN = "begin again at /login"
SHOWN = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginAttempt:
    """A login that was begun.

    Attributes:
        secret: Which the browser that has begun it keeps; all else is derived from it, so that
            nothing need be kept here before somebody is known.
    """

    secret: str

    @classmethod
    def begin(cls) -> "LoginAttempt":
        """Return a new one."""
        return cls(secret=new_secret())

    @property
    def state(self) -> str:
        """Names it to the provider, which sends it back."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """Is in the token that the provider gives for it, and in no other."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """Proves whoever exchanges the code to be who has begun it."""
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        """What the provider is told of the verifier beforehand."""
        return _base64url(hashlib.sha256(self.verifier.encode()).digest())

    def _derived(self, what: str) -> str:
        return _base64url(hmac.digest(self.secret.encode(), what.encode(), "sha256"))


class ProviderLogin:
    """Logs people in with their provider. Belongs to one event loop.

    Args:
        oidc: Which provider it is.
        login: As which client of it.
        tokens: Checks what it has signed.
        known: Knows its addresses.
        connecting: Asks it.
        secret: Which this service shows it; empty for none.
    """

    # Owns: nothing.

    def __init__(
        self,
        oidc: OidcConfig,
        login: LoginConfig,
        *,
        tokens: SignedTokens,
        known: KnownProvider,
        connecting: Connecting,
        secret: str = "",
    ) -> None:
        self._oidc = oidc
        self._login = login
        self._tokens = tokens
        self._known = known
        self._connecting = connecting
        self._secret = secret

    @property
    def issuer(self) -> str:
        """The provider's name."""
        return self._oidc.issuer

    @property
    def url(self) -> str:
        """Where browsers reach this service."""
        return self._login.url

    async def address(self, attempt: LoginAttempt) -> str:
        """Return where a browser goes to log in.

        Raises:
            UnavailableError: the provider has not said where.
        """
        provider = await self._known.provider()
        scopes = dict.fromkeys(("openid", *self._login.scopes))
        asked = {
            "response_type": "code",
            "client_id": self._login.client,
            "redirect_uri": self._back,
            "scope": " ".join(scopes),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": attempt.challenge,
            "code_challenge_method": "S256",
        }
        if not is_private(provider.login_url):
            raise UnavailableError(
                f"the provider at {self.issuer} says no https:// address where people log in"
            )
        return str(httpx.URL(provider.login_url).copy_merge_params(asked))

    async def subject(self, attempt: LoginAttempt, code: str) -> Subject:
        """Return who has logged in.

        Args:
            attempt: Whose state was sent back.
            code: Which was sent back with it.

        Raises:
            UnauthorizedError: the provider does not say so.
            UnavailableError: it says nothing.
        """
        provider = await self._known.provider()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back,
            "code_verifier": attempt.verifier,
        }
        auth = None
        if self._secret and provider.takes_basic:
            auth = (quote(self._login.client, safe=""), quote(self._secret, safe=""))
        else:
            form |= {"client_id": self._login.client}
            form |= {"client_secret": self._secret} if self._secret else {}
        answer = await self._connecting.post(provider.token_url, form, auth=auth)
        if answer.status != HTTPStatus.OK:
            said = printable(str(answer.fields.get("error", f"status {answer.status}")))[:SHOWN]
            if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise UnavailableError(f"the provider answered {said}; {AGAIN}")
            raise UnauthorizedError(f"the provider has not taken this login ({said}); {AGAIN}")
        token = answer.fields.get("id_token")
        claims = await self._tokens.claims(str(token), audience=self._login.client)
        nonce, party = claims.get("nonce"), claims.get("azp", self._login.client)
        if not isinstance(nonce, str) or not hmac.compare_digest(
            nonce.encode(), attempt.nonce.encode()
        ):
            raise UnauthorizedError(f"expected a token for this very login, found another; {AGAIN}")
        if party != self._login.client:
            raise UnauthorizedError(
                "expected a token for this service alone, found one that was given to another"
            )
        return subject_of(claims, name_claim=self._oidc.subject, groups_claim=self._oidc.in_groups)

    @property
    def _back(self) -> str:
        return f"{self._login.url}{CALLBACK}"


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
