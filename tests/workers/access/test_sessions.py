"""Sessions: kept without their secrets, over after their time, ended one by one or all together."""

from tests.support.fakes.faulty import ArmedStore
from tests.support.fakes.tokens import held
from workers.access.kept_sessions import KEY, end_session, keep_session, read_sessions
from workers.access.roles import AccessRole
from workers.access.sessions import (
    LIFETIME_S,
    MOST_OF_ONE,
    MOST_SESSIONS,
    Session,
    SessionList,
    new_secret,
    session_of_subject,
    session_of_token,
    with_session,
)
from workers.access.subjects import Subject
from workers.store import MemoryStore, ObjectStore
from workers.store.testing import Fault

NOON = 1_790_000_000.0
HOUR = 3600.0


def logged_in(store: ObjectStore, name: str = "ann", *, now: float = NOON) -> tuple[str, Session]:
    secret = new_secret()
    session = session_of_subject(secret, Subject(name=name, groups=("ml",)), now=now)
    keep_session(store, session, now=now)
    return secret, session


def test_a_session_is_found_by_its_secret_and_by_no_other() -> None:
    store = MemoryStore()
    (secret, session), (other, second) = logged_in(store), logged_in(store, "ben")
    sessions = read_sessions(store)
    assert sessions.holder(secret) == session
    assert sessions.holder(other) == second
    assert (session.who, session.groups) == ("oidc:ann", ("ml",))
    for wrong in ("", secret[:-1], f"{secret}x", session.sha256):
        assert sessions.holder(wrong) is None


def test_the_secret_is_kept_nowhere() -> None:
    store = MemoryStore()
    secret, _ = logged_in(store)
    assert len(secret) >= 43
    assert [each.key for each in store.list("")] == [KEY]
    assert secret.encode() not in store.get(KEY).data


def test_a_session_is_over_after_eight_hours_and_is_forgotten() -> None:
    store = MemoryStore()
    _, session = logged_in(store)
    assert session.counts(now=NOON + LIFETIME_S - 1)
    assert not session.counts(now=NOON + LIFETIME_S)
    logged_in(store, "ben", now=NOON + LIFETIME_S)
    assert [each.who for each in read_sessions(store).sessions] == ["oidc:ben"]


def test_a_session_with_a_token_ends_with_it() -> None:
    token = held("ci", {"*": AccessRole.VIEWER}, now=NOON, lifetime="1h")
    session = session_of_token("a secret", token, now=NOON)
    assert (session.who, session.token) == ("token:ci", token.sha256)
    assert session.expires == NOON + HOUR
    lasting = held("ci", {"*": AccessRole.VIEWER}, now=NOON)
    assert session_of_token("a secret", lasting, now=NOON).expires == NOON + LIFETIME_S


def test_one_session_is_ended_or_all_of_one_person() -> None:
    store = MemoryStore()
    _, one = logged_in(store)
    _, two = logged_in(store)
    _, three = logged_in(store)
    _, ben = logged_in(store, "ben")
    end_session(store, one, everywhere=False, now=NOON)
    assert read_sessions(store).sessions == (two, three, ben)
    end_session(store, two, everywhere=True, now=NOON)
    assert read_sessions(store).sessions == (ben,)
    end_session(store, two, everywhere=True, now=NOON)  # what is ended stays so
    assert read_sessions(store).sessions == (ben,)


def test_nobody_has_more_sessions_than_browsers() -> None:
    store = MemoryStore()
    _, ben = logged_in(store, "ben")
    first, *rest = [logged_in(store)[1] for _ in range(MOST_OF_ONE + 1)]
    assert read_sessions(store).sessions == (ben, *rest)
    assert first not in rest


def test_the_document_has_a_largest_size() -> None:
    held = tuple(
        session_of_subject(f"{number}", Subject(name=f"{number}"), now=NOON)
        for number in range(MOST_SESSIONS)
    )
    new = session_of_subject("new", Subject(name="new"), now=NOON)
    assert with_session(SessionList(sessions=held), new, now=NOON) == (*held[1:], new)


def test_a_lost_answer_makes_no_second_session() -> None:
    store = ArmedStore(MemoryStore())
    logged_in(store, "ben")
    store.arm(1, Fault.LOSE_ANSWER)
    secret, session = logged_in(store)
    assert store.fired
    assert len(read_sessions(store).sessions) == 2
    assert read_sessions(store).holder(secret) == session
