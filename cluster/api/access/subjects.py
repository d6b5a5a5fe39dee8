"""Subjects over HTTP: whoever sends a signed token of the provider, and what they may do."""

from collections.abc import Mapping
from dataclasses import dataclass

from cluster.client.requester import HTTP, Requester
from cluster.config import OidcConfig, Roles
from cluster.provider.signed_tokens import SignedTokens
from workers.access.roles import AccessRole
from workers.access.subjects import RoleMapping, Subject, subject_of

TOO_MANY = "because they are in so many that their provider has left all of them out"


@dataclass(frozen=True, kw_only=True, slots=True)
class Subjects:
    """Tells who a subject is here.

    Attributes:
        oidc: Which tokens count, and who may do what.
        tokens: Checks them.
    """

    oidc: OidcConfig
    tokens: SignedTokens

    @property
    def mapping(self) -> RoleMapping:
        """The roles of the configuration."""
        return RoleMapping(
            subjects={name: _roles(roles) for name, roles in self.oidc.subjects.items()},
            groups={name: _roles(roles) for name, roles in self.oidc.groups.items()},
        )

    async def of(self, token: str) -> Requester:
        """Return who sends a signed token.

        Raises:
            UnauthorizedError: it does not count here.
            UnavailableError: nobody can tell, because the provider is away.
        """
        claims = await self.tokens.claims(token, audience=self.oidc.audience)
        return self.requester(
            subject_of(claims, name_claim=self.oidc.subject, groups_claim=self.oidc.in_groups)
        )

    def requester(self, subject: Subject) -> Requester:
        """Return a subject with what it may do."""
        contact = self.oidc.contact
        if subject.is_cut:
            contact += f" (who knows no groups of theirs, {TOO_MANY})"
        return Requester(
            name=subject.who, grants=self.mapping.grants(subject), road=HTTP, contact=contact
        )


def _roles(roles: Roles) -> Mapping[str, AccessRole]:
    return {adapter: AccessRole(role) for adapter, role in roles.items()}
