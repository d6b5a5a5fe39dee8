"""Adapters that there are; a mistyped one is an error that names the nearest."""

from contextlib import suppress
from typing import TYPE_CHECKING

from adapters.errors import NacreError
from cluster.client.documents import DocumentClient
from cluster.client.part import configured_adapters, unknown_adapter
from workers.registry.documents.layout import check_adapter

if TYPE_CHECKING:
    from cluster.client.road import AnyClient


def check_known(client: "AnyClient", adapter: str | None) -> None:
    """Raise NotFoundError unless an adapter has versions, is configured or is about to grow.

    Args:
        client: Of the system.
        adapter: The adapter that was named; None for the configured one, which may be empty yet.
    """
    if adapter is None or check_adapter(adapter) in configured_adapters(client.config):
        return
    known = configured_adapters(client.config) | set(client.adapters())
    if adapter not in known and not isinstance(client, DocumentClient):
        with suppress(NacreError):  # it may have more, and says so only while it is ready
            known |= client.ready().adapters.keys()
    if adapter not in known:
        known |= {state.adapter for state in client.queue().submissions}
    if adapter not in known:
        raise unknown_adapter(adapter, known)
