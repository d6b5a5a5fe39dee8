"""Loading a published version in any Python program, without a cluster."""

from adapters.adapter import Adapter
from adapters.errors import NotFoundError
from cluster.stores.open import open_store
from workers.registry.record_cache import Versions


def load_adapter(
    store: str, *, adapter: str = "main", version: int | str = "production"
) -> Adapter:
    """Return one version of an adapter, verified and ready to score features.

        >>> adapter = nacre.load_adapter(nacre.load_config().store, version=2)
        >>> [record.task for record in adapter.records]
        ['digits', 'fashion']

    Args:
        store: URL of the object store.
        adapter: Its name.
        version: A number or an alias.

    Raises:
        NotFoundError: no such adapter or version.
        CorruptionError: a record's bytes are not those that were published.
    """
    versions = Versions(open_store(store))
    number = versions.resolve(adapter, version)
    if number is None:
        raise NotFoundError(
            f"adapter {adapter!r} in {store} has no version {version!r}; `nacre versions` lists "
            "them",
            adapter=adapter,
        )
    state = versions.state(adapter, number)
    return Adapter(state.records, shared=state.shared)
