"""The registry: all adapters of one object store."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from adapters.errors import ConflictError, NotFoundError
from workers.registry.adapter import RegisteredAdapter
from workers.registry.audience import Audience
from workers.registry.documents.layout import REFS, check_adapter, refs_key
from workers.registry.documents.refs import Refs
from workers.registry.objects import AdapterObjects
from workers.registry.swap import RaceRetry, RefsWriter
from workers.store.base import ObjectStore
from workers.store.cache import BlobCache


class Registry:
    """Opens adapters.

    Args:
        store: Where everything lies; the registry keeps no state of its own.
        cache: Local copies of records and documents, shared by the processes of a host.
        retry: How lost races are run again.
        rng: Gives write ids and jitter; the system's source where None.
        sleep: Waits for some seconds between races.
        audience: Is told before and after `production` of any adapter moves.
    """

    def __init__(
        self,
        store: ObjectStore,
        cache: BlobCache | None = None,
        *,
        retry: RaceRetry | None = None,
        rng: random.Random | None = None,
        sleep: Callable[[float], None] = time.sleep,
        audience: Audience | None = None,
    ) -> None:
        self.store = store
        self.cache = cache
        self._retry = retry or RaceRetry()
        self._rng = rng or random.SystemRandom()
        self._sleep = sleep
        self._audience = audience

    def adapter(self, name: str, *, wary: bool = False) -> RegisteredAdapter:
        """Return a handle on the adapter called `name`; nothing is read yet.

        Args:
            name: Its name.
            wary: Whether the first refs are asked for several times; see `AdapterObjects`.

        Raises:
            InputError: No adapter can be called so.
        """
        objects = AdapterObjects(self.store, check_adapter(name), cache=self.cache, wary=wary)
        writer = RefsWriter(
            objects, retry=self._retry, rng=self._rng, sleep=self._sleep, audience=self._audience
        )
        return RegisteredAdapter(objects, writer)

    def create(self, name: str) -> RegisteredAdapter:
        """Create the adapter called `name`, empty, unless it exists, and return a handle on it."""
        adapter = self.adapter(name)
        with suppress(NotFoundError):
            adapter.refs()
            return adapter
        refs = Refs(adapter=name, serial=1, write_id=f"{self._rng.getrandbits(128):032x}")
        with suppress(ConflictError):  # somebody else has just done so
            self.store.create(refs_key(name), refs.to_bytes())
        return adapter

    def adapters(self) -> Iterator[str]:
        """Yield the names of all adapters, in no particular order."""
        for listed in self.store.list(REFS):
            yield listed.key.removeprefix(REFS).removesuffix(".json")
