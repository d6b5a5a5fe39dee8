"""An OpenID provider as it describes itself: its addresses, and the keys that it signs with."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, RSAKey

from adapters.errors import UnavailableError, reason_of
from cluster.provider.connecting import Connecting, Fields
from workers.formats.yaml_scalars import cut

DISCOVERY = "/.well-known/openid-configuration"
ASYMMETRIC = frozenset({"RSA", "EC", "OKP"})
"""Kinds of keys of which the provider has one half and everybody the other."""
MOST_KEYS = 20
LEAST_BITS = 2048
"""Of an RSA key; a shorter one can be computed from its public half, one day."""
BASIC = "client_secret_basic"

logger = logging.getLogger("nacre.access")


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """A provider.

    Attributes:
        issuer: Its name in its tokens.
        login_url: Where people log in; empty where it says none.
        token_url: Where a code is exchanged; empty where it says none.
        takes_basic: Whether this service shows its secret there in a header, else in the form.
        keys: What it signs with, by their ids.
    """

    issuer: str
    login_url: str
    token_url: str
    takes_basic: bool
    keys: Mapping[str, Key]

    def fitting(self, kid: str) -> list[Key]:
        """Return the keys that may have signed what names the id `kid`; all where it names none."""
        return [key for name, key in self.keys.items() if kid in (name, "")]


async def read_provider(issuer: str, connecting: Connecting) -> Provider:
    """Return what a provider says of itself now.

    Raises:
        UnavailableError: it says nothing, or what cannot be used; the message says why.
    """
    described = await connecting.get(f"{issuer.rstrip('/')}{DISCOVERY}")
    if described.get("issuer") != issuer:
        raise UnavailableError(
            f"the provider at {issuer} calls itself {cut(repr(described.get('issuer')))}: write "
            "that, to the letter, under `access: oidc: issuer:` in the configuration"
        )
    keys = usable_keys(await connecting.get(_address(described, "jwks_uri")))
    if not keys:
        raise UnavailableError(f"the provider at {issuer} has no key that can be used here")
    methods = described.get("token_endpoint_auth_methods_supported") or [BASIC]
    return Provider(
        issuer=issuer,
        login_url=_address(described, "authorization_endpoint"),
        token_url=_address(described, "token_endpoint"),
        takes_basic=isinstance(methods, list) and BASIC in methods,
        keys=keys,
    )


def usable_keys(document: Fields) -> dict[str, Key]:
    """Return the keys of a key set by their ids, without those that check no signature here."""
    listed = document.get("keys")
    found: dict[str, Key] = {}
    for entry in listed[:MOST_KEYS] if isinstance(listed, list) else []:
        key = _key(entry)
        if key is not None:
            key.ensure_kid()
            found[str(key.kid)] = key
    return found


def _key(entry: object) -> Key | None:
    if not isinstance(entry, dict) or entry.get("kty") not in ASYMMETRIC:
        return None
    if entry.get("use", "sig") != "sig":
        return None
    try:
        key = JWKRegistry.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        logger.warning("a key of the provider is passed over: %s", reason_of(error))
        return None
    if isinstance(key, RSAKey) and key.public_key.key_size < LEAST_BITS:
        logger.warning("a key of the provider is passed over: it has too few bits")
        return None
    return key


def _address(described: Fields, name: str) -> str:
    found = described.get(name, "")
    return found if isinstance(found, str) else ""
