"""The HTTP API as one FastAPI application."""

from collections.abc import Awaitable, Callable

from fastapi import Depends, FastAPI
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline

from cluster.api import health, managing, predicting, tasks, webhooks
from cluster.api.access import OVER_HTTP, Access, add_access
from cluster.api.health import Around, alone
from cluster.api.managing import VersionHandlers
from cluster.api.parameters import check_query
from cluster.api.places import Places
from cluster.api.problems import add_problems
from cluster.api.store_threads import StoreThreads
from cluster.api.task_handlers import TaskHandlers
from cluster.api.webhooks import WebhookHandlers
from cluster.client.client import Client
from cluster.config import Config
from cluster.serving.service import Service
from workers.registry import Audience

DESCRIPTION = """
Predictions of ever-growing adapters, their versions, and the tasks that they learn.

A version is written `adapter@number`. Whoever names no version is answered by what `production`
points to at that moment; every answer says which version that was. Errors are
`application/problem+json`. Where tokens are set, they go into the header `Authorization: Bearer …`.
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
) -> FastAPI:
    """Return the application of one replica; all of its routes share one client.

    Args:
        service: Answers for images.
        config: Of the system.
        audience: The replicas, told when `production` moves.
        access: Who may do what, and how long.
        around: Looks at the rest of the system, for the status.
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
    add_access(api, access, service.metrics)
    api.include_router(predicting.routes(service, adapter=config.adapter))
    checked, threads = [Depends(check_query)], StoreThreads()
    api.include_router(
        managing.routes(VersionHandlers(client, audience), threads), dependencies=checked
    )
    api.include_router(tasks.routes(TaskHandlers(client, places), threads), dependencies=checked)
    api.include_router(webhooks.routes(WebhookHandlers(client), threads), dependencies=checked)
    api.include_router(health.routes(service, places, around))
    api.add_api_route("/", _to_the_page, include_in_schema=False)
    return api


async def _to_the_page() -> RedirectResponse:
    return RedirectResponse(DOCS)
