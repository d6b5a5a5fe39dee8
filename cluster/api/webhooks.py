"""Routes for webhooks: register, look, remove, rotate, test, resume."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from cluster.api.parameters import AskedBy, JsonRoute
from cluster.api.problems import problems
from cluster.api.store_threads import StoreThreads
from cluster.client.client import Client
from cluster.client.requester import Requester
from cluster.webhooks.shown import registered_document, tested_document, webhook_document
from cluster.wire.webhooks import (
    RegisteredWebhook,
    RotationRequest,
    TestedWebhook,
    WebhookRequest,
    WebhookState,
)

LOOK = problems(404, 422, 503)
CHANGE = problems(400, 404, 409, 413, 422, 503, 504)
WebhookPath = Annotated[
    str, Path(examples=["team-chat"], description="Name of a webhook.", max_length=200)
]


class WebhookHandlers:
    """Answers for webhooks, for the routes.

    Args:
        client: Of the system, opened once for all requests.
    """

    # Owns: nothing that changes; safe between threads.

    def __init__(self, client: Client) -> None:
        self._client = client

    def webhooks(self) -> list[WebhookState]:
        """Return all webhooks."""
        return [webhook_document(*found) for found in self._client.webhooks()]

    def webhook(self, name: str) -> WebhookState:
        """Return one webhook."""
        return webhook_document(*self._client.webhook(name))

    def add(self, asked: WebhookRequest, *, by: Requester) -> RegisteredWebhook:
        """Register a webhook."""
        webhook = self._client.add_webhook(
            asked.name, asked.url, adapters=asked.adapters, kinds=asked.kinds, by=by
        )
        return registered_document(webhook, self._client.webhook(webhook.name)[1])

    def rotate(self, name: str, asked: RotationRequest, *, by: Requester) -> RegisteredWebhook:
        """Give a webhook a new secret."""
        webhook = self._client.rotate_webhook(name, overlap_s=3600 * asked.overlap_hours, by=by)
        return registered_document(webhook, self._client.webhook(name)[1])

    def remove(self, name: str, *, by: Requester) -> None:
        """Remove a webhook."""
        self._client.remove_webhook(name, by=by)

    def test(self, name: str, *, by: Requester) -> TestedWebhook:
        """Send an event that means nothing."""
        return tested_document(name, self._client.test_webhook(name, by=by))

    def resume(self, name: str, *, by: Requester) -> WebhookState:
        """Try at once what a webhook waits for."""
        self._client.resume_webhook(name, by=by)
        return self.webhook(name)


def routes(handlers: WebhookHandlers, threads: StoreThreads) -> APIRouter:
    """Return the routes, answered by `handlers` in `threads`."""
    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=JsonRoute)

    @router.get("", responses=problems(503))
    async def webhooks() -> list[WebhookState]:
        """List the webhooks, with their latest deliveries."""
        return await threads(handlers.webhooks)

    @router.post("", status_code=201, responses=CHANGE)
    async def add_webhook(
        asked: WebhookRequest, by: AskedBy, answer: Response
    ) -> RegisteredWebhook:
        """Register a webhook, and show its secret this once."""
        answer.headers["Cache-Control"] = "no-store"
        return await threads(handlers.add, asked, by=by)

    @router.get("/{name}", responses=LOOK)
    async def webhook(name: WebhookPath) -> WebhookState:
        """Say what a webhook hears of, whether it works, and what became of its deliveries."""
        return await threads(handlers.webhook, name)

    @router.post("/{name}/remove", status_code=204, responses=CHANGE)
    async def remove_webhook(name: WebhookPath, by: AskedBy) -> None:
        """Remove a webhook; it hears of nothing any more."""
        await threads(handlers.remove, name, by=by)

    @router.post("/{name}/rotate", responses=CHANGE)
    async def rotate_webhook(
        name: WebhookPath, asked: RotationRequest, by: AskedBy, answer: Response
    ) -> RegisteredWebhook:
        """Give a webhook a new secret, shown this once; the old one signs beside it for a while."""
        answer.headers["Cache-Control"] = "no-store"
        return await threads(handlers.rotate, name, asked, by=by)

    @router.post("/{name}/test", responses=CHANGE)
    async def test_webhook(name: WebhookPath, by: AskedBy) -> TestedWebhook:
        """Have the system that runs send an event that means nothing, and say what came of it."""
        return await threads(handlers.test, name, by=by)

    @router.post("/{name}/resume", responses=CHANGE)
    async def resume_webhook(name: WebhookPath, by: AskedBy) -> WebhookState:
        """Try at once what a webhook waits for, also where it has stopped."""
        return await threads(handlers.resume, name, by=by)

    return router
