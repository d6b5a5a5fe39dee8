"""Routes for access: named tokens, sessions, and the audit log."""

import time
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Response

from cluster.api.parameters import AskedBy, JsonRoute
from cluster.api.places import Places
from cluster.api.problems import problems
from cluster.api.store_threads import StoreThreads
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.wire.access import (
    AUDIT_DAYS,
    MOST_CALLS,
    AuditedCall,
    EndSessionsRequest,
    NamedTokenState,
    NewToken,
    SessionState,
    TokenRequest,
)
from cluster.wire.facts import audit_document, new_token_document, session_document, token_document

MOST_DAYS = 3650
LOOK = problems(422, 503)
CHANGE = problems(400, 404, 409, 413, 422, 503, 504)
Adapter = Annotated[str | None, Query(max_length=200, description="Only of this adapter.")]
Who = Annotated[str | None, Query(max_length=200, description="Only of this requester.")]
Days = Annotated[int, Query(ge=1, le=MOST_DAYS, description="Today, and so many days in all.")]
Limit = Annotated[int, Query(ge=1, le=MOST_CALLS, description="Most calls.")]


class AccessHandlers:
    """Makes tokens, ends sessions and reads the audit log, for the routes.

    Args:
        client: Of the system, opened once for all requests.
        places: What stands for the service's own places in reasons.
    """

    # Owns: nothing that changes; safe between threads.

    def __init__(self, client: Client, places: Places) -> None:
        self._client = client
        self._places = places

    def tokens(self, *, by: Requester) -> list[NamedTokenState]:
        """Return the named tokens that somebody is admin of."""
        now = time.time()
        return [token_document(token, now=now) for token in self._client.tokens(by=by)]

    def create(self, asked: TokenRequest, *, by: Requester) -> NewToken:
        """Make a token."""
        made = self._client.create_token(
            asked.name, role=asked.role, adapters=asked.adapters, lifetime=asked.lifetime, by=by
        )
        return new_token_document(made)

    def revoke(self, name: str, *, by: Requester) -> NamedTokenState:
        """Let a token count no more."""
        return token_document(self._client.revoke_token(name, by=by), now=time.time())

    def sessions(self, *, by: Requester) -> list[SessionState]:
        """Return the sessions of whoever has logged in."""
        return [session_document(session) for session in self._client.sessions(by=by)]

    def end_sessions(self, asked: EndSessionsRequest, *, by: Requester) -> list[SessionState]:
        """Let sessions count no more."""
        return [session_document(each) for each in self._client.end_sessions(asked.name, by=by)]

    def audit(
        self, adapter: str | None, who: str | None, *, days: int, limit: int, by: Requester
    ) -> list[AuditedCall]:
        """Return the calls of adapters that somebody is admin of, the latest first."""
        found = self._client.audit(adapter=adapter, days=days, by=by)
        of_who = (entry for entry in found if who in (None, entry.who))
        documents = [audit_document(entry) for entry in islice(of_who, limit)]
        for document in documents:
            document.reason = self._places.said(document.reason)
        return documents


def routes(handlers: AccessHandlers, threads: StoreThreads) -> APIRouter:
    """Return the routes, answered by `handlers` in `threads`."""
    router = APIRouter(tags=["access"], route_class=JsonRoute)

    @router.get("/v1/tokens", responses=LOOK)
    async def tokens(by: AskedBy) -> list[NamedTokenState]:
        """List the named tokens, the oldest first, without their secrets."""
        return await threads(handlers.tokens, by=by)

    @router.post("/v1/tokens", responses=CHANGE)
    async def create_token(asked: TokenRequest, by: AskedBy, answer: Response) -> NewToken:
        """Make a token; its secret is in this answer, and kept nowhere."""
        answer.headers["Cache-Control"] = "no-store"
        return await threads(handlers.create, asked, by=by)

    @router.post("/v1/tokens/{name}/revoke", responses=CHANGE)
    async def revoke_token(name: str, by: AskedBy) -> NamedTokenState:
        """Let a token count no more; all replicas know of it within 5 seconds."""
        return await threads(handlers.revoke, name, by=by)

    @router.get("/v1/sessions", responses=LOOK)
    async def sessions(by: AskedBy) -> list[SessionState]:
        """List the sessions of whoever has logged in, the oldest first, without their secrets."""
        return await threads(handlers.sessions, by=by)

    @router.post("/v1/sessions/end", responses=CHANGE)
    async def end_sessions(asked: EndSessionsRequest, by: AskedBy) -> list[SessionState]:
        """Let one session count no more, or all of somebody; replicas know within 5 seconds."""
        return await threads(handlers.end_sessions, asked, by=by)

    @router.get("/v1/audit", responses=LOOK)
    async def audit(
        by: AskedBy,
        adapter: Adapter = None,
        who: Who = None,
        days: Days = AUDIT_DAYS,
        limit: Limit = 100,
    ) -> list[AuditedCall]:
        """List the calls that changed something, and those that were denied, the latest first."""
        return await threads(handlers.audit, adapter, who, days=days, limit=limit, by=by)

    return router
