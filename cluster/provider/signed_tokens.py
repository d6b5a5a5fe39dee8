"""Signed tokens: what a provider says of somebody, and whether it was this one that says so, to us.

A token is a JWT. Nothing in it is believed before its signature was checked with a key of the
provider; until then its header only says which key that should be, and by which algorithm, of which
only those count that nobody can sign with who has the public half alone.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from joserfc import jws
from joserfc.errors import ExpiredTokenError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key
from joserfc.jwt import JWTClaimsRegistry

from adapters.contract.json_reading import read_json
from adapters.errors import UnauthorizedError
from cluster.provider.known_provider import KnownProvider
from cluster.wire.headers import LONGEST_TOKEN
from workers.formats.yaml_scalars import cut

ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519", "EdDSA"),
)
LEEWAY_S = 60
"""So far the clocks of provider and service may be apart, in seconds."""
TIMES = ("nbf", "iat")
_TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*", re.ASCII)


class _Registry(jws.JWSRegistry):
    """The library's own limits are for small tokens, and it warns of what it recommends no more."""

    max_header_length = LONGEST_TOKEN
    max_payload_length = LONGEST_TOKEN
    max_signature_length = LONGEST_TOKEN

    def get_alg(self, name: str) -> Any:
        """Return an algorithm that counts."""
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


_REGISTRY = _Registry(strict_check_header=False)


def is_signed(token: str) -> bool:
    """Return whether a token looks as signed ones do: three parts with dots between them."""
    return token.count(".") == 2


class SignedTokens:
    """Checks signed tokens. Belongs to one event loop.

    Args:
        issuer: Who must have signed them.
        known: Its keys.
        clock: Gives seconds since the epoch.
    """

    # Owns: nothing.

    def __init__(
        self, issuer: str, known: KnownProvider, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._issuer = issuer
        self._known = known
        self._clock = clock

    async def claims(self, token: str, *, audience: str) -> Mapping[str, Any]:
        """Return what a token says.

        Args:
            token: Whatever was sent.
            audience: For whom it must be.

        Raises:
            UnauthorizedError: it does not count here; the message says why, and quotes nothing of
                what nobody has signed.
            UnavailableError: nobody can tell, because the provider is away.
        """
        if len(token) > LONGEST_TOKEN:
            raise self._refusal(f"of at most {LONGEST_TOKEN} characters", f"{len(token)}")
        if not _TOKEN.fullmatch(token):
            raise self._refusal("of three parts in base64url", "another one")
        try:
            read = jws.extract_compact(token.encode(), registry=_REGISTRY)
            header = read.headers()
            _REGISTRY.check_header(header)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise self._refusal("whose header can be read", "another one") from error
        if header.get("alg") not in ALGORITHMS:
            raise self._refusal(f"signed by one of {', '.join(ALGORITHMS)}", "another algorithm")
        kid = str(header.get("kid") or "")
        if not await self._known.holds(lambda provider: _have_signed(provider.fitting(kid), read)):
            raise self._refusal("signed with a key of this provider", "one that is not")
        claims = self._read(read.payload)
        self._check_claims(claims, audience)
        return claims

    def _read(self, payload: bytes) -> Mapping[str, Any]:
        try:
            claims = read_json(payload)
        except ValueError as error:
            raise self._refusal("whose claims are JSON", "another one") from error
        if not isinstance(claims, dict):
            raise self._refusal("whose claims are a JSON object", "another one")
        return claims

    def _check_claims(self, claims: Mapping[str, Any], audience: str) -> None:
        now = int(self._clock())
        expected = JWTClaimsRegistry(
            now=now,
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
        )
        try:
            expected.validate(dict(claims))
        except ExpiredTokenError as error:
            ago = now - int(claims["exp"])
            raise self._refusal("that has not expired", f"one that expired {ago} s ago") from error
        except (JoseError, TypeError, ValueError) as error:
            name = getattr(error, "claim", "exp")
            found = claims.get(name)
            if name in TIMES and isinstance(found, int | float):
                raise self._refusal(
                    "that counts by now", "one that does not yet: compare the clocks"
                ) from error
            wanted = {"iss": self._issuer, "aud": audience}.get(name, "a time")
            shown = "none" if found is None else cut(repr(found))
            raise self._refusal(f"whose claim {name!r} is {wanted!r}", shown) from error

    def _refusal(self, expected: str, found: str) -> UnauthorizedError:
        return UnauthorizedError(
            f"expected a token of {self._issuer} {expected}, found {found}; get a new one there, "
            "for this service"
        )


def _have_signed(keys: Iterable[Key], read: jws.CompactSignature) -> bool:
    """Return whether one of some keys has signed what was read."""
    return any(_has_signed(key, read) for key in keys)


def _has_signed(key: Key, read: jws.CompactSignature) -> bool:
    try:
        return jws.validate_compact(read, key, registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, KeyError):
        return False  # such as a key of another kind
