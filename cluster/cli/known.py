"""Adapters that there are; a mistyped one is an error that names the nearest."""

from adapters.contract.nearest import did_you_mean
from adapters.errors import NotFoundError
from cluster.client.client import Client
from workers.queue.machine import EVERY_ADAPTER
from workers.registry.documents.layout import check_adapter


def check_known(client: Client, adapter: str | None) -> None:
    """Raise NotFoundError unless an adapter has versions, is configured or is about to grow.

    Args:
        client: Of the store.
        adapter: The adapter that was named; None for the configured one, which may be empty yet.
    """
    if adapter is None or check_adapter(adapter) in _configured(client):
        return
    known = _configured(client) | set(client.adapters())
    if adapter not in known:
        known |= {state.ticket.adapter for state in client.queue().states}
    if adapter not in known:
        raise NotFoundError(
            f"expected an adapter of {', '.join(sorted(known))}, found {adapter!r}"
            f"{did_you_mean(adapter, known)}",
            adapter=adapter,
        )


def _configured(client: Client) -> set[str]:
    config = client.config
    return {config.adapter, *config.adapters, *config.served} - {EVERY_ADAPTER}
