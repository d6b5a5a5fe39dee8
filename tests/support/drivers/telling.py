"""A coordinator in a thread of this process whose webhooks go over real connections."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from cluster.config import Config, EventsConfig
from cluster.running_config import everything
from cluster.webhooks.permitted import Permitted
from cluster.webhooks.sending import HttpSender
from tests.support.fakes.crews import LIMITS, ScriptedCrew
from workers.concurrency.supervision import Backoff
from workers.coordination.coordinator import Coordinator
from workers.coordination.settings import Intervals, Setup
from workers.encoding.encoder import Encoder
from workers.store import ObjectStore
from workers.webhooks.sender import WebhookSetup

PACE = Intervals(poll_s=0.02, report_s=10.0)


def permitted(url: str) -> EventsConfig:
    """Return what permits events to go to a receiver on loopback."""
    return EventsConfig(allow=(url,), inner=("127.0.0.0/8",))


@contextmanager
def telling(
    store: ObjectStore,
    encoder: Encoder,
    events: EventsConfig,
    *,
    intervals: Intervals = PACE,
    poll_s: float = PACE.poll_s,
) -> Iterator[ScriptedCrew]:
    """Coordinate as long as the block lasts; the crew, which learns nothing, is given."""
    crew = ScriptedCrew(store, encoder)
    sender = HttpSender(Permitted(events=events))
    backoff = Backoff(first_s=0.001, longest_s=0.02)
    setup = Setup(
        store=store,
        crew=crew,
        clock=time.time,
        limits=LIMITS,
        intervals=intervals,
        configuration=everything(Config(events=events)),
        webhooks=WebhookSetup(sender=sender, poll_s=poll_s, backoff=backoff),
    )
    coordinator = Coordinator(setup, owner="telling", host="here")
    begun: Future[asyncio.AbstractEventLoop] = Future()

    async def run() -> None:
        begun.set_result(asyncio.get_running_loop())
        await coordinator.run()

    with ThreadPoolExecutor(1, thread_name_prefix="coordinator") as thread:
        running = thread.submit(lambda: asyncio.run(run()))
        loop = begun.result()
        try:
            yield crew
        finally:
            loop.call_soon_threadsafe(coordinator.stop)
            running.result()
