"""Roles: each may do what those before it may, on its adapters and on no other."""

from itertools import pairwise

import pytest

from workers.access.roles import EVERYTHING, NEEDED, NOTHING, AccessRole, Grants

OPERATOR = Grants(roles={"birds": AccessRole.OPERATOR})
CELLS = [(verb, role) for verb in NEEDED for role in AccessRole]


def test_each_role_may_do_what_those_before_it_may_and_not_the_reverse() -> None:
    for less, more in pairwise(AccessRole):
        assert more.covers(less)
        assert not less.covers(more)


@pytest.mark.parametrize(("verb", "role"), CELLS)
def test_a_verb_is_permitted_from_its_role_on_and_on_that_adapter_alone(
    verb: str, role: AccessRole
) -> None:
    grants = Grants(roles={"birds": role})
    assert grants.permits(verb, "birds") == (role.rank >= NEEDED[verb].rank)
    assert grants.permits_somewhere(verb) == grants.permits(verb, "birds")
    assert not grants.permits(verb, "cats")
    assert not grants.permits(verb, "*")


def test_a_role_of_all_adapters_counts_for_each_and_for_all() -> None:
    everywhere = Grants(roles={"*": AccessRole.VIEWER, "birds": AccessRole.OPERATOR})
    assert everywhere.role("cats") is everywhere.role("*") is AccessRole.VIEWER
    assert everywhere.role("birds") is AccessRole.OPERATOR
    better = Grants(roles={"*": AccessRole.ADMIN, "birds": AccessRole.VIEWER})
    assert better.role("birds") is AccessRole.ADMIN


def test_whoever_has_no_role_may_do_nothing_and_whoever_is_trusted_everything() -> None:
    for verb in NEEDED:
        assert not NOTHING.permits_somewhere(verb)
        assert EVERYTHING.permits(verb, "*")
        assert EVERYTHING.permits(verb, "birds")


def test_grants_are_said_in_words() -> None:
    assert str(OPERATOR) == "operator of 'birds'"
    assert str(EVERYTHING) == "admin of all adapters"
    assert str(NOTHING) == "without a role"
