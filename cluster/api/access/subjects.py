"""Subjects over HTTP: whoever sends a signed token of the provider, and what they may do."""

from collections.abc import Mapping

from cluster.client.requester import HTTP, Requester
from cluster.config import OidcConfig, Roles
from cluster.provider.signed_tokens import SignedTokens
from workers.access.roles import AccessRole
from workers.access.subjects import RoleMapping, Subject, subject_of

TOO_MANY = "because they are in so many that their provider has left all of them out"


class Subjects:
    """Tells who a subject is here.

    Args:
        oidc: Which tokens count, and who may do what.
        tokens: Checks them.

    Attributes:
        mapping: The roles of the configuration.
    """

    # Owns: nothing that changes.

    def __init__(self, oidc: OidcConfig, tokens: SignedTokens) -> None:
        self._oidc = oidc
        self._tokens = tokens
        self.mapping = RoleMapping(
            subjects={name: _roles(roles) for name, roles in oidc.subjects.items()},
            groups={name: _roles(roles) for name, roles in oidc.groups.items()},
        )

    async def of(self, token: str) -> Requester:
        """Return who sends a signed token.

        Raises:
            UnauthorizedError: it does not count here.
            UnavailableError: nobody can tell, because the provider is away.
        """
        claims = await self._tokens.claims(token, audience=self._oidc.audience)
        return self.requester(
            subject_of(claims, name_claim=self._oidc.subject, groups_claim=self._oidc.in_groups)
        )

    def requester(self, subject: Subject) -> Requester:
        """Return a subject with what it may do."""
        contact = self._oidc.contact
        if subject.is_cut:
            contact += f" (who knows no groups of theirs, {TOO_MANY})"
        return Requester(
            name=subject.who, grants=self.mapping.grants(subject), road=HTTP, contact=contact
        )


def _roles(roles: Roles) -> Mapping[str, AccessRole]:
    return {adapter: AccessRole(role) for adapter, role in roles.items()}
