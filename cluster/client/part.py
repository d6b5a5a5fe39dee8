"""The common ground of the client's parts: configuration, object store, registry, requester."""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property

from adapters.contract.nearest import did_you_mean
from adapters.errors import NotFoundError
from cluster.client.distant_replicas import DistantReplicas
from cluster.client.joined import configured
from cluster.client.requester import PYTHON, By, Requester, requester_of
from cluster.config import Config
from cluster.running_config import RunningConfig, not_served
from cluster.stores.known import open_known_store
from workers.access.audit import Ending, audited
from workers.queue.leadership import read_leadership
from workers.queue.machine import EVERY_ADAPTER
from workers.registry import Audience, Author, RegisteredAdapter, Registry
from workers.registry.documents.layout import check_adapter
from workers.store import ObjectStore


class ClientPart:
    """Opens one nacre, once; a part of the client adds the verbs of one noun.

    Args:
        config: Where the object store and the API are; looked for as `load_config` says where None.
        by: In whose name changes are made that name nobody; the user of this process where None.
        store: The object store of `config`, where it is open already.
        audience: Is told when `production` moves; the API's replicas where None.
        road: How what is asked of it has come in, as the audit log says.

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
        road: str = PYTHON,
    ) -> None:
        self.config = config or configured()
        self._road = road
        self._by = None if by is None else requester_of(by, road=road)
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
        return self._registry.adapter(name or self.config.adapter, wary=True)

    def _requester(self, by: By) -> Requester:
        return requester_of(self._by if by is None else by, road=self._road)

    @contextmanager
    def _changing(
        self, verb: str, *adapters: str, target: object = "", by: By, why: str = ""
    ) -> Iterator[Author]:
        """Give the author of a change that they may make, and have the audit log say of it.

        Args:
            verb: What is done.
            adapters: To which; `*` for none or all.
            target: To what of it.
            by: Who does it.
            why: The reason, as the history keeps it.

        Raises:
            ForbiddenError: they may not do this.
            UnavailableError: the audit log cannot be kept; nothing is changed.
        """
        with self._asking(verb, *adapters, target=target, by=by) as (requester, _):
            yield requester.author(why)

    @contextmanager
    def _asking(
        self, verb: str, *adapters: str, target: object = "", by: By
    ) -> Iterator[tuple[Requester, Ending]]:
        """Give who asks for a change that they may ask for, and what the audit log says of its end.

        See `_changing`; for what another process carries out.
        """
        requester = self._requester(by)
        of = adapters[0] if len(adapters) == 1 else EVERY_ADAPTER
        with audited(
            self._store, requester.entry(verb, of, str(target)), said=requester.said
        ) as ending:
            for adapter in adapters:
                requester.check(verb, adapter)
            yield requester, ending

    def _in_vain(self, verb: str, target: str, by: By) -> AbstractContextManager[object]:
        """Have the audit log say of a call that is refused within this, of no known adapter."""
        return audited(self._store, self._requester(by).entry(verb, EVERY_ADAPTER, target))


def configured_adapters(config: Config) -> set[str]:
    """Return the adapters that a configuration names."""
    return {config.adapter, *config.adapters, *config.served} - {EVERY_ADAPTER}


def unknown_adapter(name: str, known: Iterable[str]) -> NotFoundError:
    """Return that there is no adapter of that name, and which there are."""
    names = sorted(set(known))
    near = did_you_mean(name, names)
    return NotFoundError(
        f"expected an adapter of {', '.join(names)}, found {name!r}{near}", adapter=name, near=near
    )


def check_adapter_or_all(name: str) -> str:
    """Return the name of an adapter, or what stands for all; InputError for anything else."""
    return name if name == EVERY_ADAPTER else check_adapter(name)
