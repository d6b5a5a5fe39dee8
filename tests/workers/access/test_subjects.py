"""Subjects: whom claims are about, and which roles the mapping gives them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.errors import NacreError, UnauthorizedError
from workers.access.roles import NEEDED, AccessRole, Grants
from workers.access.subjects import LONGEST_NAME, RoleMapping, Subject, subject_of

FAST = settings(max_examples=100, deadline=None, database=None, derandomize=True)
ADAPTERS, GROUPS = ("birds", "cats", "*"), ("ml", "vision", "ops")
ROLES = st.dictionaries(st.sampled_from(ADAPTERS), st.sampled_from(list(AccessRole)), max_size=3)
MAPPINGS = st.builds(
    RoleMapping,
    subjects=st.dictionaries(st.sampled_from(("ann", "ben")), ROLES),
    groups=st.dictionaries(st.sampled_from(GROUPS), ROLES),
)
SUBJECTS = st.builds(
    Subject,
    name=st.sampled_from(("ann", "ben", "cid")),
    groups=st.lists(st.sampled_from((*GROUPS, "other")), max_size=4).map(tuple),
)


def applying(mapping: RoleMapping, subject: Subject) -> list[Grants]:
    """Return the grants of each line that applies, alone."""
    lines = [mapping.subjects.get(subject.name, {})]
    lines += [mapping.groups.get(group, {}) for group in subject.groups]
    return [Grants(roles=line) for line in lines]


@FAST
@given(mapping=MAPPINGS, subject=SUBJECTS)
def test_a_subject_may_do_what_one_of_its_lines_permits_and_nothing_else(
    mapping: RoleMapping, subject: Subject
) -> None:
    grants = mapping.grants(subject)
    for adapter in (*ADAPTERS, "unnamed"):
        for verb in NEEDED:
            each = [line.permits(verb, adapter) for line in applying(mapping, subject)]
            assert grants.permits(verb, adapter) == any(each)


@FAST
@given(mapping=MAPPINGS, subject=SUBJECTS, data=st.data())
def test_the_order_of_groups_and_groups_named_twice_change_nothing(
    mapping: RoleMapping, subject: Subject, data: st.DataObject
) -> None:
    mixed = data.draw(st.permutations(subject.groups + subject.groups))
    other = Subject(name=subject.name, groups=tuple(mixed))
    assert mapping.grants(other).roles == mapping.grants(subject).roles


@FAST
@given(mapping=MAPPINGS, subject=SUBJECTS, group=st.sampled_from(GROUPS))
def test_one_group_more_takes_nothing_away(
    mapping: RoleMapping, subject: Subject, group: str
) -> None:
    fewer = mapping.grants(subject)
    more = mapping.grants(Subject(name=subject.name, groups=(*subject.groups, group)))
    for adapter in ADAPTERS:
        for verb in NEEDED:
            assert more.permits(verb, adapter) or not fewer.permits(verb, adapter)


@FAST
@given(mapping=MAPPINGS, subject=SUBJECTS)
def test_what_is_kept_of_the_groups_gives_the_same_roles(
    mapping: RoleMapping, subject: Subject
) -> None:
    kept = mapping.counting(subject)
    assert set(kept.groups) <= set(mapping.groups)
    assert mapping.grants(kept) == mapping.grants(subject)


def test_a_group_called_as_somebody_is_gives_them_nothing() -> None:
    mapping = RoleMapping(subjects={"ann": {"*": AccessRole.ADMIN}})
    assert mapping.grants(Subject(name="ben", groups=("ann",))).roles == {}
    mapping = RoleMapping(groups={"ann": {"*": AccessRole.ADMIN}})
    assert mapping.grants(Subject(name="ann")).roles == {}


def test_one_group_may_be_written_without_a_list() -> None:
    assert subject_of({"sub": "ann", "groups": "ml"}).groups == ("ml",)
    assert subject_of({"sub": "ann", "groups": ["ml", "ops", "ml"]}).groups == ("ml", "ops")
    assert subject_of({"sub": "ann", "groups": []}).groups == ()
    assert subject_of({"sub": "ann"}).groups == ()
    assert subject_of({"sub": "ann", "groups": None}).groups == ()


def test_the_claims_may_be_called_otherwise() -> None:
    found = subject_of(
        {"sub": "1", "https://example.com/team": ["ml"], "upn": "ann"},
        name_claim="upn",
        groups_claim="https://example.com/team",
    )
    assert found == Subject(name="ann", groups=("ml",))
    assert found.who == "oidc:ann"


@pytest.mark.parametrize("groups", [5, True, {"ml": {}}, ["ml", 5], [["ml"]], [None]])
def test_groups_of_another_kind_are_refused(groups: object) -> None:
    with pytest.raises(UnauthorizedError, match="'groups' is a list of groups, found a value of"):
        subject_of({"sub": "ann", "groups": groups})


@pytest.mark.parametrize(
    "name", [None, "", 5, ["ann"], "x" * (LONGEST_NAME + 1), "ann\n", "ann\x00", "\u202eann"]
)
def test_a_name_that_cannot_be_kept_is_refused(name: object) -> None:
    with pytest.raises(UnauthorizedError, match="whose claim 'sub' names who sends it"):
        subject_of({"sub": name})


@pytest.mark.parametrize("verified", [None, False, "true", 1])
def test_an_address_that_the_provider_has_not_verified_names_nobody(verified: object) -> None:
    with pytest.raises(UnauthorizedError, match="'email_verified' is true"):
        subject_of({"email": "ann@example.com", "email_verified": verified}, name_claim="email")
    found = subject_of({"email": "ann@example.com", "email_verified": True}, name_claim="email")
    assert found.who == "oidc:ann@example.com"
    inside: dict[str, object] = {"email": "ann@example.com"}
    claims = {"person": inside, "email_verified": True}  # that is said of another address
    with pytest.raises(UnauthorizedError, match=r"'person\.email_verified' is true"):
        subject_of(claims, name_claim="person.email")
    inside["email_verified"] = True
    assert subject_of(claims, name_claim="person.email").who == "oidc:ann@example.com"


def test_groups_that_were_too_many_for_a_token_are_known_to_be_missing() -> None:
    elsewhere = {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {}}}
    assert subject_of({"sub": "ann", **elsewhere}).is_cut
    assert not subject_of({"sub": "ann", "_claim_names": {"other": "src1"}}).is_cut
    assert not subject_of({"sub": "ann", "_claim_names": "groups"}).is_cut
    inside = {"sub": "ann", "_claim_names": {"realm_access": "src1"}}
    assert subject_of(inside, groups_claim="realm_access.roles").is_cut


@FAST
@given(
    claims=st.dictionaries(
        st.sampled_from(("sub", "groups", "_claim_names")),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=3), inner, max_size=3)
            ),
            max_leaves=8,
        ),
    )
)
def test_whatever_is_claimed_names_somebody_or_is_refused(claims: dict[str, Any]) -> None:
    try:
        found = subject_of(claims)
    except NacreError as error:
        assert isinstance(error, UnauthorizedError)
    else:
        assert found.name == claims["sub"]


@pytest.mark.parametrize(
    ("claims", "path"),
    [
        ({"realm_access": {"roles": ["ml"]}}, "realm_access.roles"),
        ({"resource_access": {"nacre": {"roles": ["ml"]}}}, "resource_access.nacre.roles"),
        ({"resource_access": {"a.b": {"roles": ["ml"]}}}, "resource_access.a.b.roles"),
        ({"of": {"a": {"roles": ["no"]}, "a.b": {"roles": ["ml"]}}}, "of.a.b.roles"),
        ({"https://example.com/roles": ["ml"]}, "https://example.com/roles"),
        ({"https://example.com/app": {"roles": ["ml"]}}, "https://example.com/app.roles"),
        ({"https://a.io/claims.x-groups": ["ml"]}, "https://a.io/claims.x-groups"),
        ({"https://a.io/claims": {"x-groups": ["ml"]}}, "https://a.io/claims.x-groups"),
        ({"a.b": ["ml"], "a": {"b": ["no"]}}, "a.b"),
    ],
)
def test_groups_may_lie_inside_other_claims_and_have_names_with_dots(
    claims: dict[str, Any], path: str
) -> None:
    assert subject_of({"sub": "ann", **claims}, groups_claim=path).groups == ("ml",)


@pytest.mark.parametrize("found", [None, "text", ["roles"], {"other": 1}, {}])
def test_where_a_path_leads_nowhere_there_are_no_groups(found: object) -> None:
    claims = {"sub": "ann", "realm_access": found}
    assert subject_of(claims, groups_claim="realm_access.roles").groups == ()


def test_a_claim_inside_others_that_is_no_list_is_refused_by_its_path() -> None:
    claims = {"sub": "ann", "realm_access": {"roles": {"ml": True}}}
    with pytest.raises(UnauthorizedError, match=r"whose claim 'realm_access\.roles' is a list"):
        subject_of(claims, groups_claim="realm_access.roles")
