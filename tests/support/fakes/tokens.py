"""Named tokens without a store, whose secrets are their names behind `nacre_`."""

from collections.abc import Mapping

from workers.access.roles import AccessRole
from workers.access.tokens import NamedToken, new_token


def held(
    name: str, roles: Mapping[str, AccessRole], *, now: float = 1.0, lifetime: str = "never"
) -> NamedToken:
    """Return a token that anna has made."""
    return new_token(f"nacre_{name}", name, roles, by="anna", now=now, lifetime=lifetime)


class HeldTokens:
    """Knows some tokens by what stands behind the prefix of their secrets."""

    def __init__(self, **tokens: NamedToken) -> None:
        self._tokens = tokens

    async def holder(self, secret: str) -> NamedToken | None:
        """Return the token of a secret; None where nobody knows it."""
        return self._tokens.get(secret.removeprefix("nacre_"))

    async def of_digest(self, sha256: str) -> NamedToken | None:
        """Return the token whose secret has this digest; None where there is none."""
        return next((each for each in self._tokens.values() if each.sha256 == sha256), None)
