"""The common ground of the client's parts: configuration, object store, registry, requester."""

import time
from functools import cached_property

from cluster.client.distant_replicas import DistantReplicas
from cluster.client.joined import configured
from cluster.client.requester import By, Requester, requester_of
from cluster.config import Config
from cluster.running_config import RunningConfig, not_served
from cluster.stores.known import open_known_store
from workers.queue.leadership import read_leadership
from workers.registry import Audience, Author, RegisteredAdapter, Registry
from workers.store import ObjectStore


class ClientPart:
    """Opens one nacre, once; a part of the client adds the verbs of one noun.

    Args:
        config: Where the object store and the API are; looked for as `load_config` says where None.
        by: In whose name changes are made that name nobody; the user of this process where None.
        store: The object store of `config`, where it is open already.
        audience: Is told when `production` moves; the API's replicas where None.

    Attributes:
        config: The configuration.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        by: By = None,
        store: ObjectStore | None = None,
        audience: Audience | None = None,
    ) -> None:
        self.config = config or configured()
        self._by = None if by is None else requester_of(by)
        self._given, self._audience = store, audience

    # Opened when they are first needed: a prediction is asked of the API, also while the store is
    # away.
    @cached_property
    def _store(self) -> ObjectStore:
        return self._given or open_known_store(self.config.store)

    @cached_property
    def _registry(self) -> Registry:
        return Registry(self._store, audience=self._audience or DistantReplicas(self.config))

    def running_config(self) -> RunningConfig | None:
        """Return what the system that coordinates now was configured with.

        None where nobody coordinates, or no system that was started with a configuration.
        """
        return RunningConfig.of(read_leadership(self._store), now=time.time())

    def not_served(self, adapter: str | None = None) -> str | None:
        """Return that no replica answers for an adapter, and what to do; None where some do."""
        return not_served(adapter or self.config.adapter, self.running_config(), self.config)

    @property
    def store(self) -> ObjectStore:
        """The object store."""
        return self._store

    def _adapter(self, name: str | None) -> RegisteredAdapter:
        return self._registry.adapter(name or self.config.adapter)

    def _requester(self, by: By) -> Requester:
        return requester_of(self._by if by is None else by)

    def _author(self, by: By, why: str) -> Author:
        return self._requester(by).author(why)
