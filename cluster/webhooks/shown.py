"""Webhooks as they are shown, the same over HTTP and in a shell, without what is secret."""

import time
from typing import Literal

from cluster.webhooks.permitted import shown
from cluster.wire.webhooks import (
    RegisteredWebhook,
    TestedWebhook,
    WebhookDelivery,
    WebhookSetAside,
    WebhookState,
    WebhookTrouble,
)
from workers.webhooks.deliveries import Deliveries, Delivery
from workers.webhooks.webhook import Webhook


def webhook_document(webhook: Webhook, state: Deliveries) -> WebhookState:
    """Return a webhook with its latest deliveries, newest first."""
    stopped = state.stopped if webhook.resumed == state.resumed else ""
    return WebhookState(
        name=webhook.name,
        url=shown(webhook.url),
        adapters=list(webhook.adapters),
        kinds=list(webhook.kinds),
        created=webhook.created,
        by=webhook.by,
        secrets=len(webhook.signing(now=time.time())),
        state=_state(stopped, state),
        stopped=stopped,
        waiting=[
            WebhookTrouble(adapter=name, since=each.since, attempts=each.attempts, until=each.until)
            for name, each in sorted(state.failing.items())
        ],
        set_aside=[
            WebhookSetAside(adapter=each.adapter, sequence=each.sequence) for each in state.aside
        ],
        deliveries=[delivery_document(each) for each in reversed(state.latest)],
    )


def registered_document(webhook: Webhook, state: Deliveries) -> RegisteredWebhook:
    """Return a webhook with its new secret, which nobody is shown again."""
    known = webhook_document(webhook, state).model_dump()
    return RegisteredWebhook(**known, secret=webhook.secrets[0].value)


def tested_document(name: str, delivery: Delivery | None) -> TestedWebhook:
    """Return what became of a test."""
    return TestedWebhook(name=name, delivery=delivery_document(delivery) if delivery else None)


def delivery_document(delivery: Delivery) -> WebhookDelivery:
    """Return what became of telling one event."""
    return WebhookDelivery(
        id=delivery.id,
        type=delivery.kind,
        adapter=delivery.adapter,
        sequence=delivery.sequence,
        at=delivery.at,
        took_s=delivery.took_s,
        attempts=delivery.attempts,
        status=delivery.status,
        outcome=delivery.outcome,
        said=delivery.said,
    )


def _state(stopped: str, state: Deliveries) -> Literal["works", "fails", "stopped"]:
    if stopped:
        return "stopped"
    return "fails" if state.failing else "works"
