"""The sessions in the store: one small document, changed by condition alone.

access/sessions.json
"""

from dataclasses import replace

from workers.access.serial_list import KeptList
from workers.access.sessions import (
    Session,
    SessionList,
    sessions_from_bytes,
    with_session,
    without,
)
from workers.store.base import ObjectStore

KEY = "access/sessions.json"
_KEPT = KeptList(key=KEY, decode=sessions_from_bytes, empty=SessionList())


def read_sessions(store: ObjectStore) -> SessionList:
    """Return the sessions; an empty list where nobody ever logged in.

    Raises:
        MissingError: this process has seen one, and it is not to be found now.
        CorruptionError: the list is damaged.
    """
    return _KEPT.read(store)


def keep_session(store: ObjectStore, session: Session, *, now: float) -> None:
    """Keep a session; every replica knows it from then on."""
    _KEPT.change(store, lambda held: replace(held, sessions=with_session(held, session, now=now)))


def end_sessions(store: ObjectStore, name: str, *, now: float) -> tuple[Session, ...]:
    """Let sessions count no more, and return them; replicas know within seconds.

    Args:
        store: The object store.
        name: The id of one, or whose all are.
        now: Seconds since the epoch.

    Raises:
        NotFoundError: there is none.
    """
    ended = read_sessions(store).called(name, now=now)
    gone = {session.sha256 for session in ended}

    def changed(held: SessionList) -> SessionList:
        return replace(held, sessions=tuple(s for s in held.sessions if s.sha256 not in gone))

    _KEPT.change(store, changed)
    return ended


def end_session(store: ObjectStore, session: Session, *, everywhere: bool, now: float) -> None:
    """Let a session count no more, or none of whoever it is of; replicas know within seconds."""

    def changed(held: SessionList) -> SessionList:
        return replace(held, sessions=without(held, session, everywhere=everywhere, now=now))

    _KEPT.change(store, changed)
