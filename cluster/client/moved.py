"""Moved aliases as a document: the same over HTTP and in a shell."""

from cluster.client.client import Client
from cluster.wire.versions import Moved
from workers.registry.documents.layout import PRODUCTION


def moved_document(client: Client, adapter: str | None, number: int, *moved: str) -> Moved:
    """Return the aliases of an adapter after `moved` of them were moved.

    Args:
        client: Of the store.
        adapter: Its name; None for the configured one.
        number: The version that they point to now, or did before they were removed.
        moved: The aliases that were moved or removed.
    """
    note = client.not_served(adapter) if PRODUCTION in moved else None
    return Moved(
        adapter=adapter or client.config.adapter,
        aliases=client.aliases(adapter),
        version=number,
        moved=list(moved),
        notes=[note] if note else [],
    )
