"""One nacre in this process: a store, the client that everybody uses, and a coordinator.

The coordinator works only while it is told to, in simulated time; between two times it may have
been stopped in the middle of anything. All that is stored looks three days old, so that nothing is
spared because it is young.
"""

import asyncio
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace

from cluster.client.client import Client
from cluster.config import AdapterConfig, Config
from tests.support.drivers.simulation import BEGINS_AT, Clock, InlineThreads, SimulatedLoop
from workers.coordination.coordinator import Coordinator
from workers.coordination.settings import AdapterRules, Intervals, Setup
from workers.encoding.encoder import Encoder
from workers.housekeeping.retention import DAY_S
from workers.learning.local_crew import LocalCrew
from workers.queue.machine import EVERY_ADAPTER
from workers.queue.ticket import ENDED
from workers.registry.audience import Nobody
from workers.store import Listed, ObjectStore, open_local_store
from workers.store.testing import WrappedStore

AGE_S = 3 * DAY_S
PACE = Intervals(poll_s=2.0, report_s=1e9, lead_s=3e6)
PATIENCE_S = 900
"""So long a queue may take, in simulated seconds, until all that is not paused has ended."""


class AgedStore(WrappedStore):
    """A store that lists everything as if it had been written `age_s` seconds earlier.

    Nobody may remove what is replaced under a condition: some stores make it anew then.
    """

    # Owns: the keys of which something was replaced.

    def __init__(self, inner: ObjectStore, *, age_s: float) -> None:
        super().__init__(inner)
        self._age_s = age_s
        self._replaced: set[str] = set()

    def before(self, operation: str, key: str) -> None:
        if operation == "replace":
            self._replaced.add(key)
        assert operation != "delete" or key not in self._replaced, key

    def list(self, prefix: str) -> Iterator[Listed]:
        for listed in super().list(prefix):
            yield replace(listed, modified=listed.modified - self._age_s)


class Site:
    """See the head of this module.

    Args:
        encoder: Embeds.
        adapters: How the tasks of each adapter are learnt.

    Attributes:
        client: Every verb.
        store: What the client works on.
    """

    # Owns: the store, and the loop whose time passes while the coordinator works.

    def __init__(self, encoder: Encoder, adapters: dict[str, AdapterConfig]) -> None:
        self._encoder = encoder
        self.config = Config(store=f"memory://{uuid.uuid4().hex}", adapters=adapters)
        self._inner = open_local_store(self.config.store)
        self.store = AgedStore(self._inner, age_s=AGE_S)
        self.client = Client(self.config, by="anna", store=self.store, audience=Nobody())
        self._runner = asyncio.Runner(loop_factory=SimulatedLoop)
        self._loop = self._runner.get_loop()

    def close(self) -> None:
        """Forget everything."""
        self._runner.close()
        for listed in list(self._inner.list("")):
            self._inner.delete(listed.key)

    def work(self) -> None:
        """Let the coordinator work until everything has ended that nobody has paused."""
        self._runner.run(self._until_idle())

    def work_a_little(self, turns: int) -> None:
        """Let the coordinator work for so many turns of its loop, and stop it where it is."""
        self._runner.run(self._for(turns))

    def pass_days(self, days: float) -> None:
        """Let time pass in which nobody does anything."""
        assert isinstance(self._loop, SimulatedLoop)
        self._loop.advance(days * DAY_S)

    async def _until_idle(self) -> None:
        coordinator, running = self._begun()
        for _ in range(PATIENCE_S):
            await asyncio.sleep(PACE.poll_s / 2)
            assert not running.done()
            if self._is_idle():
                break
        coordinator.stop()
        await running
        assert self._is_idle(), [str(state.ticket) for state in self.client.queue().states]

    async def _for(self, turns: int) -> None:
        coordinator, running = self._begun()
        for _ in range(turns):
            await asyncio.sleep(0)
        coordinator.stop()
        await running

    def _is_idle(self) -> bool:
        queue = self.client.queue()
        paused = set(queue.lead.paused if queue.lead else ())
        return queue.unread == 0 and all(
            state.ticket.stage in ENDED or paused & {state.ticket.adapter, EVERY_ADAPTER}
            for state in queue.states
        )

    def _begun(self) -> tuple[Coordinator, asyncio.Task[None]]:
        assert isinstance(self._loop, SimulatedLoop)
        # Its clock says some thousand seconds since 1970, and so must its store.
        store = AgedStore(self._inner, age_s=time.time() - BEGINS_AT + AGE_S)
        clock = Clock(self._loop)
        setup = Setup(
            store=store,
            crew=LocalCrew(self._encoder, store, clock=clock, threads=InlineThreads()),
            clock=clock,
            rules=self._rules,
            intervals=PACE,
            threads=InlineThreads(),
        )
        coordinator = Coordinator(setup, owner="a site")
        return coordinator, asyncio.ensure_future(coordinator.run())

    def _rules(self, adapter: str) -> AdapterRules:
        chosen = self.config.of_adapter(adapter)
        return AdapterRules(method=chosen.method, gate=chosen.gate)
