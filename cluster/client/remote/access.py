"""Calls for access: named tokens, sessions, and the audit log."""

from collections.abc import Sequence

from adapters.errors import InputError
from cluster.client.remote.call import Call, change, look, path_to
from cluster.client.remote.part import CallPart
from cluster.wire.access import (
    AUDIT_DAYS,
    LIFETIME,
    MOST_CALLS,
    AuditedCall,
    NamedTokenState,
    NewToken,
    SessionState,
)


class AccessCalls(CallPart):
    """Makes and revokes named tokens, and reads what was done by whom."""

    def create_token(
        self, name: str, *, role: str, adapters: Sequence[str] = (), lifetime: str = LIFETIME
    ) -> Call[NewToken]:
        """Make a token for the HTTP API, and return it with its secret, which is kept nowhere.

        Args:
            name: Whose it is: history and audit log then say `token:NAME`.
            role: `viewer`, `asker`, `submitter`, `operator` or `admin`.
            adapters: Of which adapters, `*` for all; of the configured one where empty.
            lifetime: `12h`, `30d`, `8w` or `never`.

        Raises:
            InputError: the name, an adapter or the lifetime cannot be used.
            ConflictError: there is a token of that name.
            ForbiddenError: whoever asks is no admin of one of the adapters.
        """
        of = list(adapters) or [self._default]
        path = path_to("tokens")
        return change(NewToken, path, name=name, role=role, adapters=of, lifetime=lifetime)

    def tokens(self) -> Call[list[NamedTokenState]]:
        """Return the named tokens, the oldest first, without their secrets."""
        return look(list[NamedTokenState], path_to("tokens"))

    def revoke_token(self, name: str) -> Call[NamedTokenState]:
        """Let a token count no more, and return it; replicas know of it within seconds.

        Raises:
            NotFoundError: there is no token of that name that counts.
            ForbiddenError: it is for an adapter that whoever asks is no admin of.
        """
        return change(NamedTokenState, path_to("tokens", name, "revoke"))

    def sessions(self) -> Call[list[SessionState]]:
        """Return the sessions of whoever has logged in, the oldest first, without their secrets.

        Raises:
            ForbiddenError: whoever asks is no admin of all adapters.
        """
        return look(list[SessionState], path_to("sessions"))

    def end_sessions(self, name: str) -> Call[list[SessionState]]:
        """Let sessions count no more, and return them; replicas know of it within seconds.

        Args:
            name: The id of one, or whose: then all of theirs.

        Raises:
            NotFoundError: there is none.
            ForbiddenError: whoever asks is no admin of all adapters.
        """
        return change(list[SessionState], path_to("sessions", "end"), name=name)

    def audit(
        self,
        *,
        adapter: str | None = None,
        who: str | None = None,
        days: int = AUDIT_DAYS,
        limit: int = MOST_CALLS,
    ) -> Call[list[AuditedCall]]:
        """Return the calls that changed something or were denied, the latest first.

        Args:
            adapter: Of which adapter; of all, and of none, where None.
            who: Of which requester; of all where None.
            days: Today, and so many days in all.
            limit: Most calls.

        Raises:
            InputError: more calls are wanted than one answer has.
        """
        if not 1 <= limit <= MOST_CALLS:
            raise InputError(
                f"expected a limit of 1 to {MOST_CALLS} calls over HTTP, found {limit}; name fewer "
                "days or a requester, and a lower limit"
            )
        path = path_to("audit")
        return look(list[AuditedCall], path, adapter=adapter, who=who, days=days, limit=limit)
