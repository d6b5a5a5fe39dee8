"""The HTTP API as one FastAPI application."""

from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import Depends, FastAPI
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline

from cluster.api import (
    access_routes,
    health,
    login,
    looking,
    managing,
    methods,
    predicting,
    tasks,
    webhooks,
)
from cluster.api.access.allowances import Allowances
from cluster.api.access.denials import Denials
from cluster.api.access.known_tokens import KnownSessions, KnownTokens
from cluster.api.access.requesters import OVER_HTTP, Access
from cluster.api.access.routes import check_routes, describe_needs
from cluster.api.access_routes import AccessHandlers
from cluster.api.health import Around, alone
from cluster.api.lasting import archives, evaluating, inspecting, maintenance, submissions
from cluster.api.lasting.answers import LastingCalls
from cluster.api.lasting.archives import ArchiveHandlers
from cluster.api.lasting.evaluating import EvaluationHandlers
from cluster.api.lasting.inspecting import InspectionHandlers
from cluster.api.lasting.maintenance import MaintenanceHandlers
from cluster.api.login import Logins, provider_of
from cluster.api.looking import LookingHandlers
from cluster.api.managing import VersionHandlers
from cluster.api.methods import MethodHandlers
from cluster.api.middleware import Doors, add_access
from cluster.api.parameters import check_let_in, check_query
from cluster.api.places import Places
from cluster.api.problems import add_problems
from cluster.api.store_threads import StoreThreads
from cluster.api.task_handlers import TaskHandlers
from cluster.api.webhooks import WebhookHandlers
from cluster.client.client import Client
from cluster.config import Config
from cluster.serving.service import Service
from workers.access.audit import write_entry
from workers.access.kept_sessions import read_sessions
from workers.access.kept_tokens import read_tokens
from workers.registry import Audience

DESCRIPTION = """
Predictions of ever-growing adapters, their versions, and the tasks that they learn.

A version is written `adapter@number`. Whoever names no version is answered by what `production`
points to at that moment; every answer says which version that was. Errors are
`application/problem+json`. Where tokens are set, they go into the header `Authorization: Bearer …`;
on this page, into *Authorize*.
"""
DOCS = "/docs"
"""The page that shows the API. It brings its scripts along, for browsers without a network."""


def build_api(
    service: Service,
    config: Config,
    *,
    audience: Audience,
    access: Access,
    around: Callable[[], Awaitable[Around]] = alone,
    counted: Callable[[], Awaitable[bytes]] | None = None,
) -> FastAPI:
    """Return the application of one replica; all of its routes share one client.

    Args:
        service: Answers for images.
        config: Of the system.
        audience: The replicas, told when `production` moves.
        access: Who may do what, and how long.
        around: Looks at the rest of the system, for the status.
        counted: Reads what the system has counted; what this replica has where None.
    """
    places = Places.of(config)
    # Every route says who asks; one that forgot to must not write the name of this process's user.
    # The store is the service's, open already: one that hangs would make all wait for the first.
    client = Client(config, by=OVER_HTTP, store=service.store, audience=audience)
    api = FastAPIOffline(
        docs_url=DOCS,
        redoc_url=None,
        static_url=f"{DOCS}/static",
        title="nacre",
        version="1",
        description=DESCRIPTION,
    )
    add_problems(api, places)
    subjects, provider = provider_of(config.access.oidc, access)
    sessions = KnownSessions(partial(read_sessions, service.store))
    doors = Doors(
        access=access,
        adapter=config.adapter,
        known=KnownTokens(partial(read_tokens, service.store)),
        sessions=sessions,
        subjects=subjects,
        denied=Denials(partial(write_entry, service.store)).note,
        allowances=Allowances(config.of_requester),
    )
    add_access(api, doors, service.metrics)
    let_in, threads = Depends(check_let_in), StoreThreads(config.serve.max_ongoing)
    calls = LastingCalls(places)
    checked = [let_in, Depends(check_query)]
    looked, handlers = LookingHandlers(client, places), TaskHandlers(client, places)
    for router in (
        looking.routes(looked, threads),
        looking.standing(looked, threads),
        methods.routes(MethodHandlers(client, lambda: service.ready().encoder), threads),
        managing.routes(VersionHandlers(client, audience), threads),
        tasks.routes(handlers, threads),
        submissions.routes(handlers, threads),
        archives.routes(ArchiveHandlers(client), calls),
        evaluating.routes(EvaluationHandlers(client), LastingCalls(places, most=evaluating.MOST)),
        inspecting.routes(
            InspectionHandlers(client, places), LastingCalls(places, most=inspecting.MOST)
        ),
        maintenance.routes(MaintenanceHandlers(client, places), calls),
        access_routes.routes(AccessHandlers(client, places), threads),
        webhooks.routes(WebhookHandlers(client), threads),
    ):
        api.include_router(router, dependencies=checked)
    asking = predicting.routes(service, adapter=config.adapter, allowances=doors.allowances)
    api.include_router(asking, dependencies=[let_in])
    api.include_router(health.routes(service, places))
    standing = health.standing(service, places, around, counted)
    api.include_router(standing, dependencies=checked)
    logins = Logins(
        store=service.store, known=sessions, doors=doors, threads=threads, provider=provider
    )
    api.include_router(login.routes(logins))
    api.add_api_route("/", _to_the_page, include_in_schema=False)
    describe_needs(api)
    check_routes(api.openapi())
    return api


async def _to_the_page() -> RedirectResponse:
    return RedirectResponse(DOCS)
