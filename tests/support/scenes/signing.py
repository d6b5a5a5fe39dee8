"""A provider without a network: keys of its own, and tokens that it signs with them."""

import base64
import json
import time
from collections.abc import Mapping
from typing import Any

from joserfc import jws, jwt
from joserfc.jwk import ECKey, Key, KeySet

from cluster.provider.known_provider import KnownProvider
from cluster.provider.provider import Provider, usable_keys
from cluster.provider.signed_tokens import SignedTokens

ISSUER, AUDIENCE = "https://id.example.com", "nacre"
HOUR = 3600


class Signer:
    """Signs tokens.

    Args:
        issuer: As which provider.

    Attributes:
        keys: The newest last; it signs with that.
    """

    # Owns: the keys.

    def __init__(self, issuer: str = ISSUER) -> None:
        self.issuer = issuer
        self.keys: list[Key] = []
        self.rotate()

    def rotate(self, key: Key | None = None) -> Key:
        """Have a new key, and only that from now on."""
        self.keys = [key or ECKey.generate_key("P-256", auto_kid=True)]
        return self.keys[-1]

    @property
    def key_set(self) -> dict[str, Any]:
        """The public halves of the keys."""
        return dict(KeySet(self.keys).as_dict(private=False))

    def token(
        self, *, key: Key | None = None, header: Mapping[str, Any] | None = None, **claims: Any
    ) -> str:
        """Return a token that is right but for what is said; a claim that is None is left out."""
        key = key or self.keys[-1]
        now = int(time.time())
        said = {
            **{"iss": self.issuer, "aud": AUDIENCE, "sub": "ann"},
            **{"iat": now, "exp": now + HOUR},
            **claims,
        }
        kept = {name: value for name, value in said.items() if value is not None}
        algorithm = "ES256" if key.key_type == "EC" else "RS256"
        said_first = {"alg": algorithm, "kid": key.kid, **(header or {})}
        registry = jws.JWSRegistry(algorithms=[said_first["alg"]], strict_check_header=False)
        return jwt.encode(said_first, kept, key, registry=registry)

    async def read(self) -> Provider:
        """Return the provider, as it is read."""
        return Provider(
            issuer=self.issuer,
            login_url=f"{self.issuer}/authorize",
            token_url=f"{self.issuer}/token",
            takes_basic=True,
            keys=usable_keys(self.key_set),
        )

    def tokens(self) -> SignedTokens:
        """Return what checks its tokens."""
        return SignedTokens(self.issuer, KnownProvider(self.read))


def forged(header: Mapping[str, Any], claims: Mapping[str, Any], signature: bytes = b"") -> str:
    """Return a token that no library would make."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
