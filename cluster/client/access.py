"""The client's verbs for access: named tokens, sessions, and the audit log."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from adapters.errors import ForbiddenError
from cluster.client.part import ClientPart, check_adapter_or_all
from cluster.client.requester import By
from cluster.wire.access import AUDIT_DAYS, LIFETIME
from workers.access.audit import AuditEntry, read_audit
from workers.access.kept_sessions import end_sessions, read_sessions
from workers.access.kept_tokens import CreatedToken, create_token, read_tokens, revoke_token
from workers.access.roles import role_named
from workers.access.sessions import Session
from workers.access.tokens import NamedToken, TokenList, live_token
from workers.queue.machine import EVERY_ADAPTER


class AccessVerbs(ClientPart):
    """Makes and revokes named tokens, and reads what was done by whom."""

    def create_token(
        self,
        name: str,
        *,
        role: str,
        adapters: Sequence[str] = (),
        lifetime: str = LIFETIME,
        by: By = None,
    ) -> CreatedToken:
        """Make a token for the HTTP API, and return it with its secret, which is kept nowhere.

        Args:
            name: Whose it is: history and audit log then say `token:NAME`.
            role: `viewer`, `asker`, `submitter`, `operator` or `admin`.
            adapters: Of which adapters, `*` for all; of the configured one where empty.
            lifetime: `12h`, `30d`, `8w` or `never`.
            by: Who makes it; only what they are admin of themselves.

        Raises:
            InputError: the name, an adapter or the lifetime cannot be used.
            ConflictError: there is a token of that name.
            ForbiddenError: they are no admin of one of the adapters.
        """
        named = adapters or (self.config.adapter,)
        roles = dict.fromkeys(map(check_adapter_or_all, named), role_named(role))
        with self._changing("token", *roles, target=f"create {name}: {role}", by=by) as author:
            return create_token(
                self._store, name, roles, by=author.who, now=author.now, lifetime=lifetime
            )

    def tokens(self, *, by: By = None) -> list[NamedToken]:
        """Return the named tokens, the oldest first, without their secrets.

        Args:
            by: Who looks; what they are no admin of is left out.
        """
        return list(self._of_tokens(by).tokens)

    def revoke_token(self, name: str, *, by: By = None) -> NamedToken:
        """Let a token count no more, and return it; replicas know of it within seconds.

        Raises:
            NotFoundError: there is no token of that name that counts, or it is for an adapter that
                they are no admin of.
            ForbiddenError: they are no admin of anything.
        """
        now, grants = time.time(), self._requester(by).grants
        there = read_tokens(self._store).live(name, now=now)
        target = f"revoke {name}"
        if there is None:
            with self._in_vain("token", target, by):
                return live_token(self._of_tokens(by), name, now=now)
        try:
            with self._changing("token", *there.roles, target=target, by=by) as author:
                return revoke_token(self._store, name, by=author.who, now=author.now)
        except ForbiddenError:
            if not grants.permits_somewhere("token"):
                raise
            # As where there is none: which tokens others have is nothing that they may know.
            return live_token(self._of_tokens(by), name, now=now)

    def sessions(self, *, by: By = None) -> list[Session]:
        """Return the sessions of whoever has logged in, the oldest first, without their secrets.

        Raises:
            ForbiddenError: whoever looks is no admin of all adapters.
        """
        self._requester(by).check("session", EVERY_ADAPTER)
        now = time.time()
        return [each for each in read_sessions(self._store).sessions if each.counts(now=now)]

    def end_sessions(self, name: str, *, by: By = None) -> list[Session]:
        """Let sessions count no more, and return them; replicas know of it within seconds.

        Args:
            name: The id of one, or whose: then all of theirs.
            by: Who ends them.

        Raises:
            NotFoundError: there is none.
            ForbiddenError: they are no admin of all adapters.
        """
        with self._changing("session", EVERY_ADAPTER, target=f"end {name}", by=by) as author:
            return list(end_sessions(self._store, name, now=author.now))

    def _of_tokens(self, by: By) -> TokenList:
        """Return the named tokens that somebody is admin of."""
        grants, found = self._requester(by).grants, read_tokens(self._store)
        return replace(
            found,
            tokens=tuple(
                token
                for token in found.tokens
                if all(grants.permits("token", adapter) for adapter in token.roles)
            ),
        )

    def audit(
        self, *, adapter: str | None = None, days: int = AUDIT_DAYS, by: By = None
    ) -> Iterator[AuditEntry]:
        """Yield the calls that changed something or were denied, the latest first.

        Args:
            adapter: Of which adapter; of all, and of none, where None.
            days: Today, and so many days in all.
            by: Who looks; what they are no admin of is left out.
        """
        grants = self._requester(by).grants
        for entry in read_audit(self._store, now=time.time(), days=days, adapter=adapter):
            if grants.permits("audit", entry.adapter):
                yield entry
