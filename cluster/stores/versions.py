"""Opening the versions of the configured store; a module of its own, as records need torch."""

from cluster.config import Config, home
from cluster.stores.open import open_store
from workers.metrics import UNREAD, Meter
from workers.metrics.metered_store import MeteredStore
from workers.registry import Audience
from workers.registry.record_cache import Versions
from workers.store import BlobCache


def open_versions(
    config: Config,
    audience: Audience | None = None,
    *,
    existing: bool = False,
    meter: Meter = UNREAD,
) -> Versions:
    """Return the versions of the configured store, with a local cache unless it is local itself.

    Args:
        config: Where the store is.
        audience: Is told before and after `production` of an adapter moves.
        existing: See `open_store`.
        meter: Counts what the store is asked.
    """
    remote = not config.store.startswith(("file:", "memory:"))
    cache = BlobCache(home() / "cache", config.cache_bytes) if remote else None
    store = open_store(config.store, existing=existing)
    metered = store if meter is UNREAD else MeteredStore(store, meter)
    return Versions(metered, cache, audience=audience)
