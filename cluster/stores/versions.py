"""Opening the versions of the configured store; a module of its own, as records need torch."""

from cluster.config import Config, home
from cluster.stores.open import open_store
from workers.registry import Audience
from workers.registry.record_cache import Versions
from workers.store import BlobCache


def open_versions(
    config: Config, audience: Audience | None = None, *, existing: bool = False
) -> Versions:
    """Return the versions of the configured store, with a local cache unless it is local itself.

    Args:
        config: Where the store is.
        audience: Is told before and after `production` of an adapter moves.
        existing: See `open_store`.
    """
    remote = not config.store.startswith(("file:", "memory:"))
    cache = BlobCache(home() / "cache", config.cache_bytes) if remote else None
    return Versions(open_store(config.store, existing=existing), cache, audience=audience)
