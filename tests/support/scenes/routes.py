"""Routes of the HTTP API over one client, without replicas behind them."""

from fastapi import FastAPI
from fastapi.testclient import TestClient

from cluster.api import access_routes, looking, managing, methods, tasks, webhooks
from cluster.api.access.requesters import Access
from cluster.api.access_routes import AccessHandlers
from cluster.api.lasting import archives, evaluating, inspecting, maintenance, submissions
from cluster.api.lasting.answers import LastingCalls
from cluster.api.lasting.archives import ArchiveHandlers
from cluster.api.lasting.evaluating import EvaluationHandlers
from cluster.api.lasting.inspecting import InspectionHandlers
from cluster.api.lasting.maintenance import MaintenanceHandlers
from cluster.api.looking import LookingHandlers
from cluster.api.managing import VersionHandlers
from cluster.api.methods import MethodHandlers
from cluster.api.middleware import Doors, add_access
from cluster.api.places import NOWHERE
from cluster.api.problems import add_problems
from cluster.api.store_threads import StoreThreads
from cluster.api.task_handlers import TaskHandlers
from cluster.api.webhooks import WebhookHandlers
from cluster.client.client import Client
from cluster.serving.metrics import Metrics
from workers.registry.audience import Nobody


def routes_of(
    client: Client, *, doors: Doors | None = None, headers: dict[str, str] | None = None
) -> TestClient:
    """Return the routes of versions, tasks, access and webhooks, answered by `client`.

    Args:
        client: Of the store.
        doors: Who comes in; everybody where None.
        headers: Of every request.
    """
    api = FastAPI()
    add_problems(api)
    add_access(api, doors or Doors(access=Access()), Metrics())
    looked = LookingHandlers(client, NOWHERE)
    api.include_router(looking.routes(looked, StoreThreads()))
    api.include_router(looking.standing(looked, StoreThreads()))
    api.include_router(methods.routes(MethodHandlers(client, lambda: "f" * 32), StoreThreads()))
    api.include_router(managing.routes(VersionHandlers(client, Nobody()), StoreThreads()))
    api.include_router(tasks.routes(TaskHandlers(client, NOWHERE), StoreThreads()))
    api.include_router(submissions.routes(TaskHandlers(client, NOWHERE), StoreThreads()))
    api.include_router(archives.routes(ArchiveHandlers(client), LastingCalls()))
    api.include_router(evaluating.routes(EvaluationHandlers(client), LastingCalls()))
    api.include_router(inspecting.routes(InspectionHandlers(client, NOWHERE), LastingCalls()))
    api.include_router(maintenance.routes(MaintenanceHandlers(client, NOWHERE), LastingCalls()))
    api.include_router(access_routes.routes(AccessHandlers(client, NOWHERE), StoreThreads()))
    api.include_router(webhooks.routes(WebhookHandlers(client), StoreThreads()))
    return TestClient(api, headers=headers)
