"""Routes of the HTTP API over one client, without replicas behind them."""

from fastapi import FastAPI
from fastapi.testclient import TestClient

from cluster.api import managing, tasks, webhooks
from cluster.api.access import Access, add_access
from cluster.api.managing import VersionHandlers
from cluster.api.places import NOWHERE
from cluster.api.problems import add_problems
from cluster.api.store_threads import StoreThreads
from cluster.api.task_handlers import TaskHandlers
from cluster.api.webhooks import WebhookHandlers
from cluster.client.client import Client
from cluster.serving.metrics import Metrics
from workers.registry.audience import Nobody


def routes_of(client: Client) -> TestClient:
    """Return the routes of versions, tasks and webhooks, answered by `client`."""
    api = FastAPI()
    add_problems(api)
    add_access(api, Access(), Metrics())
    api.include_router(managing.routes(VersionHandlers(client, Nobody()), StoreThreads()))
    api.include_router(tasks.routes(TaskHandlers(client, NOWHERE), StoreThreads()))
    api.include_router(webhooks.routes(WebhookHandlers(client), StoreThreads()))
    return TestClient(api)
