"""Subjects: whoever an OpenID provider vouches for, and the roles that this gives them.

Everything here is a value or a pure function on values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from adapters.errors import UnauthorizedError
from workers.access.roles import AccessRole, Grants

LONGEST_NAME = 190
"""Characters of a subject's name; with what stands before it, it is kept in history and audit."""
ELSEWHERE = "_claim_names"
"""The claim that names those which did not fit into a token."""
EMAIL, VERIFIED = "email", "email_verified"
Roles = Mapping[str, AccessRole]


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """Somebody.

    Attributes:
        name: As their provider names them.
        groups: Which the provider says that they are in.
        is_cut: Whether the provider has left the groups out, because there were too many.
    """

    name: str
    groups: tuple[str, ...] = ()
    is_cut: bool = False

    @property
    def who(self) -> str:
        """The name in history and audit log."""
        return f"oidc:{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class RoleMapping:
    """Roles by adapter of subjects and of groups, by their names.

    Attributes:
        subjects: Of subjects.
        groups: Of whoever is in a group.
    """

    subjects: Mapping[str, Roles] = field(default_factory=dict)
    groups: Mapping[str, Roles] = field(default_factory=dict)

    def grants(self, subject: Subject) -> Grants:
        """Return what a subject may do: on each adapter, the highest role of all that apply."""
        given = [self.subjects.get(subject.name, {})]
        given += [self.groups.get(group, {}) for group in subject.groups]
        highest: dict[str, AccessRole] = {}
        for adapter, role in (entry for roles in given for entry in roles.items()):
            if adapter not in highest or role.covers(highest[adapter]):
                highest[adapter] = role
        return Grants(roles=highest)

    def counting(self, subject: Subject) -> Subject:
        """Return a subject with those groups alone that give a role."""
        groups = tuple(group for group in subject.groups if group in self.groups)
        return replace(subject, groups=groups)


def subject_of(
    claims: Mapping[str, object], *, name_claim: str = "sub", groups_claim: str = "groups"
) -> Subject:
    """Return the subject whom claims are about.

    Args:
        claims: Of a token whose signature was checked.
        name_claim: The claim that names the subject; see `claim_at`.
        groups_claim: The claim that names its groups: a list, or a text where it is one.

    Raises:
        UnauthorizedError: they name nobody, or their groups are none.
    """
    name = claim_at(claims, name_claim)
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise UnauthorizedError(
            f"expected a token whose claim {name_claim!r} names who sends it, in 1 to "
            f"{LONGEST_NAME} printable characters, found {_shown(name)}"
        )
    _check_verified(claims, name_claim)
    elsewhere = claims.get(ELSEWHERE)
    return Subject(
        name=name,
        groups=_groups(claim_at(claims, groups_claim), groups_claim),
        is_cut=isinstance(elsewhere, Mapping)
        and any(f"{groups_claim}.".startswith(f"{claim}.") for claim in elsewhere),
    )


def _check_verified(claims: Mapping[str, object], name_claim: str) -> None:
    """Raise UnauthorizedError where an address names a subject and was not verified.

    What says so lies beside the address: `person.email_verified` beside `person.email`.
    """
    before, dot, last = name_claim.rpartition(".")
    beside = f"{before}{dot}{VERIFIED}"
    if last == EMAIL and claim_at(claims, beside) is not True:
        raise UnauthorizedError(
            f"expected a token whose claim {beside!r} is true, because {name_claim!r} names who "
            f"sends it, found {_shown(claim_at(claims, beside))}"
        )


def claim_at(claims: Mapping[str, object], path: str) -> object:
    """Return the claim that a path names; None where there is none.

    The claim of just that name counts first, so that one may have dots in it, or be a URL. Where
    there is none, a dot leads into a claim that is an object, as in `realm_access.roles`; of names
    with dots the longest counts.

    Args:
        claims: Of a token.
        path: The name, or names with dots between them.
    """
    if path in claims:
        return claims[path]
    end = path.rfind(".")
    while end > 0:
        inside = claims.get(path[:end])
        if isinstance(inside, Mapping):
            return claim_at(inside, path[end + 1 :])
        end = path.rfind(".", 0, end)
    return None


def _groups(found: object, claim: str) -> tuple[str, ...]:
    if found is None:
        return ()
    if isinstance(found, str):  # some providers write one group so
        return (found,)
    if isinstance(found, list) and all(isinstance(group, str) for group in found):
        return tuple(dict.fromkeys(found))
    raise UnauthorizedError(
        f"expected a token whose claim {claim!r} is a list of groups, found {_shown(found)}"
    )


def _shown(found: object) -> str:
    if isinstance(found, str):
        return f"{len(found)} characters"
    return "none" if found is None else f"a value of type {type(found).__name__}"
