"""Sessions: what a login leaves in a browser, and what is kept of it so that it can be ended.

Everything here is a value or a pure function on values; `workers.access.kept_sessions` keeps them.
The browser has a secret of 256 random bits, and the store its SHA-256.
"""

import secrets
from dataclasses import dataclass

from pydantic import FiniteFloat

from adapters.contract.canonical import digest_of
from adapters.contract.nearest import did_you_mean
from adapters.errors import NotFoundError
from workers.access.serial_list import SerialList
from workers.access.subjects import Subject
from workers.access.tokens import NamedToken, of_secret
from workers.formats.documents import Digest, unsealed

LIFETIME_S = 8 * 3600.0
SECRET_BYTES = 32
MOST_SESSIONS = 1000
SHOWN = 16
"""Digits of a session's digest that name it."""
MOST_OF_ONE = 10
"""Of one person; the oldest ends when there would be more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """One login of somebody.

    Attributes:
        sha256: Of the secret that the browser has.
        who: Who has logged in, as history and audit log name them.
        created: When, in seconds since the epoch.
        expires: From when on it counts no more, in seconds since the epoch.
        token: SHA-256 of the named token that they have logged in with; empty where it was a
            provider that let them in.
        subject: Whom the provider has named; empty where it was a token.
        groups: The groups that the provider has named and that give roles.
    """

    sha256: Digest
    who: str
    created: FiniteFloat
    expires: FiniteFloat
    token: str = ""
    subject: str = ""
    groups: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What people call it by; nobody can ask for anything with it."""
        return self.sha256[:SHOWN]

    def counts(self, *, now: float) -> bool:
        """Return whether it has not expired."""
        return now < self.expires


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionList(SerialList):
    """All sessions of a store.

    Attributes:
        sessions: The sessions, the oldest first.
    """

    sessions: tuple[Session, ...] = ()

    def holder(self, secret: str) -> Session | None:
        """Return the session of a secret; None where nobody knows it."""
        return of_secret(self.sessions, secret)

    def called(self, name: str, *, now: float) -> tuple[Session, ...]:
        """Return the sessions that count and have an id, or are all of whoever is called so.

        Args:
            name: An id, or somebody's name as history and audit log have it.
            now: Seconds since the epoch.

        Raises:
            NotFoundError: there is none.
        """
        live = [session for session in self.sessions if session.counts(now=now)]
        found = tuple(session for session in live if name in (session.id, session.who))
        if not found:
            known = [*dict.fromkeys(session.who for session in live)]
            raise NotFoundError(
                f"expected the id of a session that counts, or whose it is, found {name!r}"
                f"; `nacre session list` lists them{did_you_mean(name, known)}",
                name=name,
            )
        return found


def sessions_from_bytes(data: bytes, what: str) -> SessionList:
    """Return the list in `data`; CorruptionError naming `what` when there is none."""
    return unsealed(SessionList, data, what)


def new_secret() -> str:
    """Return a secret that nobody can guess."""
    return secrets.token_urlsafe(SECRET_BYTES)


def session_of_subject(secret: str, subject: Subject, *, now: float) -> Session:
    """Return the session of a subject whom a provider has let in."""
    return Session(
        sha256=digest_of(secret.encode()),
        who=subject.who,
        created=now,
        expires=now + LIFETIME_S,
        subject=subject.name,
        groups=subject.groups,
    )


def session_of_token(secret: str, token: NamedToken, *, now: float) -> Session:
    """Return the session of whoever has a token; it ends with the token at the latest."""
    ends = now + LIFETIME_S
    return Session(
        sha256=digest_of(secret.encode()),
        who=f"token:{token.name}",
        created=now,
        expires=ends if token.expires is None else min(ends, token.expires),
        token=token.sha256,
    )


def with_session(sessions: SessionList, session: Session, *, now: float) -> tuple[Session, ...]:
    """Return the sessions with a new one, without those that are over or too many."""
    kept = [each for each in sessions.sessions if each.counts(now=now)]
    if any(each.sha256 == session.sha256 for each in kept):
        return sessions.sessions  # written before, by an attempt whose answer was lost
    theirs = [each for each in kept if each.who == session.who]
    ended = theirs[: max(0, len(theirs) - MOST_OF_ONE + 1)]
    kept = [each for each in kept if each not in ended]
    return (*kept[max(0, len(kept) - MOST_SESSIONS + 1) :], session)


def without(
    sessions: SessionList, ended: Session, *, everywhere: bool, now: float
) -> tuple[Session, ...]:
    """Return the sessions without one, or without all of whoever it is of."""
    return tuple(
        each
        for each in sessions.sessions
        if each.counts(now=now)
        and each.sha256 != ended.sha256
        and not (everywhere and each.who == ended.who)
    )
