"""Named tokens: made, sent, over and revoked; and what is kept of them."""

import re
from dataclasses import replace

import pytest

from adapters.errors import ConflictError, InputError, NotFoundError, UnauthorizedError
from tests.support.fakes.faulty import ArmedStore, OvertakenStore
from workers.access.kept_tokens import KEY, CreatedToken, create_token, read_tokens, revoke_token
from workers.access.roles import AccessRole
from workers.access.tokens import MOST_OF_ADAPTER, MOST_TOKENS, REMEMBERED_S, TokenList, with_token
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import Fault

ROLES = {"birds": AccessRole.OPERATOR}
NOON = 1_790_000_000.0
HOUR, DAY = 3600.0, 24 * 3600.0


def created(
    store: ObjectStore, name: str = "ci", *, now: float = NOON, lifetime: str = "30d"
) -> CreatedToken:
    return create_token(store, name, ROLES, by="anna", now=now, lifetime=lifetime)


def test_a_token_is_found_by_its_secret_and_by_no_other() -> None:
    store = MemoryStore()
    made, other = created(store), created(store, "nightly")
    tokens = read_tokens(store)
    assert tokens.holder(made.secret) == made.token
    assert tokens.holder(other.secret) == other.token
    for wrong in ("", made.secret[:-1], f"{made.secret}x", made.token.sha256, "nacre_", "\xe9"):
        assert tokens.holder(wrong) is None


def test_a_secret_is_long_recognisable_and_kept_nowhere() -> None:
    store = MemoryStore()
    made = created(store)
    assert re.fullmatch(r"nacre_[A-Za-z0-9_-]{43}", made.secret)
    assert made.secret != created(store, "another").secret
    assert all(
        made.secret.encode() not in store.get(each.key).data
        and made.secret[6:].encode() not in store.get(each.key).data
        for each in store.list("")
    )
    assert made.secret not in repr(made)


@pytest.mark.parametrize(
    ("lifetime", "seconds"), [("12h", 12 * HOUR), ("30d", 30 * DAY), ("8w", 56 * DAY)]
)
def test_a_token_expires_when_its_time_is_over(lifetime: str, seconds: float) -> None:
    token = created(MemoryStore(), lifetime=lifetime).token
    token.check(now=NOON + seconds - 1)
    with pytest.raises(UnauthorizedError, match=r"'ci' has expired on .* UTC; ask anna, who made"):
        token.check(now=NOON + seconds)


def test_a_token_may_last_for_ever() -> None:
    token = created(MemoryStore(), lifetime="never").token
    token.check(now=NOON + 1e9)
    assert token.expires is None


@pytest.mark.parametrize("lifetime", ["", "30", "d", "-1d", "0d", "1y", "1.5h", "9" * 50 + "d"])
def test_a_lifetime_that_cannot_be_read_is_refused(lifetime: str) -> None:
    with pytest.raises(InputError, match="such as 12h, 30d or 8w"):
        created(MemoryStore(), lifetime=lifetime)


def test_a_revoked_token_says_who_revoked_it_and_whom_to_ask() -> None:
    store = MemoryStore()
    made = created(store)
    assert revoke_token(store, "ci", by="ben", now=NOON + 60).revoked_by == "ben"
    token = read_tokens(store).holder(made.secret)
    assert token is not None
    with pytest.raises(UnauthorizedError, match=r"'ci' was revoked by ben on .*; ask anna"):
        token.check(now=NOON + 61)


def test_revoking_what_is_not_there_names_the_nearest() -> None:
    store = MemoryStore()
    created(store, "nightly")
    with pytest.raises(NotFoundError, match="did you mean 'nightly'"):
        revoke_token(store, "nightli", by="ben", now=NOON)
    revoke_token(store, "nightly", by="ben", now=NOON)
    with pytest.raises(NotFoundError, match="nacre token list"):
        revoke_token(store, "nightly", by="ben", now=NOON)


def test_a_name_is_taken_while_its_token_counts_and_free_afterwards() -> None:
    store = MemoryStore()
    first = created(store)
    with pytest.raises(ConflictError, match="already; revoke it first"):
        created(store)
    revoke_token(store, "ci", by="ben", now=NOON)
    second = created(store, now=NOON + 1)
    tokens = read_tokens(store)
    assert tokens.live("ci", now=NOON + 2) == second.token
    assert tokens.holder(first.secret) != second.token


@pytest.mark.parametrize("name", ["", "-ci", "a b", "x" * 65, "token:ci", "change", "predict"])
def test_a_name_that_nobody_could_tell_apart_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a token"):
        created(MemoryStore(), name)


def test_a_token_is_for_adapters_that_can_be_called_so() -> None:
    for roles in ({}, {"no such name": AccessRole.VIEWER}):
        with pytest.raises(InputError):
            create_token(MemoryStore(), "ci", roles, by="anna", now=NOON, lifetime="1d")
    everywhere = {"*": AccessRole.VIEWER}
    made = create_token(MemoryStore(), "ci", everywhere, by="anna", now=NOON, lifetime="1d")
    assert made.token.grants.permits("versions", "anything")


def test_what_ended_long_ago_is_forgotten_and_what_ended_lately_is_not() -> None:
    store = MemoryStore()
    created(store, "old", lifetime="1d")
    created(store, "new", now=NOON + REMEMBERED_S, lifetime="1d")
    assert [each.name for each in read_tokens(store).tokens] == ["old", "new"]
    created(store, "next", now=NOON + REMEMBERED_S + 2 * DAY)
    assert [each.name for each in read_tokens(store).tokens] == ["new", "next"]


def test_there_is_a_most_of_tokens() -> None:
    token = created(MemoryStore()).token
    many = tuple(
        replace(token, name=f"ci-{number}", sha256=f"{number:064x}")
        for number in range(MOST_TOKENS)
    )
    with pytest.raises(InputError, match="at most 1000 tokens"):
        with_token(TokenList(tokens=many), token, now=NOON)


def test_admins_of_one_adapter_leave_room_for_tokens_of_others() -> None:
    token = created(MemoryStore()).token
    many = tuple(
        replace(token, name=f"ci-{number}", sha256=f"{number:064x}")
        for number in range(MOST_OF_ADAPTER)
    )
    with pytest.raises(InputError, match="at most 200 tokens for 'birds'"):
        with_token(TokenList(tokens=many), token, now=NOON)
    of_cats = replace(token, roles={"cats": AccessRole.ADMIN})
    assert with_token(TokenList(tokens=many), of_cats, now=NOON)[-1] == of_cats


def test_a_store_without_tokens_has_none() -> None:
    assert read_tokens(MemoryStore()).tokens == ()


def test_changes_follow_each_other_by_serial() -> None:
    store = MemoryStore()
    created(store)
    created(store, "nightly")
    revoke_token(store, "ci", by="ben", now=NOON)
    assert read_tokens(store).serial == 3


def test_a_lost_answer_makes_no_second_token_and_revokes_once() -> None:
    store = ArmedStore(MemoryStore())
    created(store)
    store.arm(1, Fault.LOSE_ANSWER)
    made = created(store, "nightly")
    assert [each.name for each in read_tokens(store).tokens] == ["ci", "nightly"]
    assert read_tokens(store).holder(made.secret) == made.token
    store.arm(1, Fault.LOSE_ANSWER)
    assert revoke_token(store, "ci", by="ben", now=NOON).revoked_by == "ben"
    assert read_tokens(store).live("ci", now=NOON) is None


def test_of_two_who_make_a_token_of_one_name_one_wins_and_the_other_is_told() -> None:
    inner = MemoryStore()
    created(inner, "other")
    store = OvertakenStore(inner, KEY, lambda: created(inner))
    with pytest.raises(ConflictError, match="there is a token 'ci' already"):
        created(store)
